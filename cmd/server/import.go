package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"loteria/lottery"
)

// importContest copies a whole contest into the configured ledger, which must be
// empty: bets in the order of the source, how each agency's betting has ended,
// deadline and draw. The number of agencies is the source's, too.
//
// The source is read twice: faults are found before anything is written, and
// changes afterwards. A folder is also locked. A stream has no lock, so an idle
// central goes unnoticed, and what it takes later is not in the import. Operators
// must first stop all centrals of both.
//
// A failed or interrupted import leaves nothing in a folder. A stream with a part
// of a contest must be removed before the next import, so that nothing is stored
// twice.
func importContest(ctx context.Context, c config, stdout io.Writer) error {
	source := c.origin()
	release, err := source.hold()
	if err != nil {
		return fmt.Errorf("import: the source: %w", err)
	}
	defer release()
	known, err := source.read(ctx, func(lottery.Stretch) error { return nil })
	fmt.Fprint(stdout, "from ")
	known.print(stdout)
	if err == nil {
		err = known.isWhole()
	}
	if err != nil {
		return fmt.Errorf("import: nothing was imported, as the source cannot be: %w", err)
	}
	target, err := c.place().empty()
	if err != nil {
		return fmt.Errorf("import: nothing was imported: %w", err)
	}
	i := &importing{source: source, known: &known, target: target, timeout: c.shutdownTimeout}
	found, err := i.run(ctx)
	switch {
	case errors.Is(err, errNotEmpty):
		return fmt.Errorf("import: nothing was imported: %w", err)
	case err != nil:
		return fmt.Errorf("import: it failed after %d of %d bets: %w: %s", i.durable, known.rows, err, target.drop())
	}
	if found.place, err = target.keep(); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	fmt.Fprint(stdout, "to ")
	found.print(stdout)
	fmt.Fprintln(stdout, "both are the same, and nothing is damaged")
	return nil
}

// isWhole returns an error unless the report is of a contest that can be imported.
func (r *report) isWhole() error {
	if r.state == "none" {
		return errors.New("it is not known how many agencies are expected and how their betting has ended")
	}
	for _, a := range r.agencies {
		if a.agency > r.terms.Agencies {
			return fmt.Errorf("it holds bets of agency %d, expected are 1 to %d", a.agency, r.terms.Agencies)
		}
	}
	return nil
}

var (
	errNotEmpty = errors.New("the target has a contest already: an import begins one, it adds to none; use another --contest, " +
		"or, if that is what an interrupted import has left and nobody needs it, remove the stream (nats stream rm) and import again")
	errChanged = errors.New("the source has changed while it was read: end all centrals that use it")
)

const (
	// importedAtOnce bounds the rows given to the ledger at once, in bytes: the most
	// that an agency sends.
	importedAtOnce = 8192
	// importedInFlight bounds what is not durable yet: appends, claims, endings.
	importedInFlight = 1024
	// drawPatience bounds the tries to make the draw of a contest that is drawn.
	drawPatience = 2 * time.Minute
)

// importing is an import in progress.
type importing struct {
	source  place
	known   *report // of the source
	target  target
	timeout time.Duration // for the target to close, when it is told to stop
	durable uint64        // bets; set when run returns
}

// run fills the target, and reads back what it holds, which must equal the source.
func (i *importing) run(ctx context.Context) (found report, err error) {
	ledger, err := i.target.open(ctx, i.known)
	if err != nil {
		return found, err
	}
	f := newFilling(ledger, i.known)
	err = f.fill(ctx, i.source)
	i.durable = f.durable.Load()
	closed := newStop(ctx, i.timeout).wait("the target", ledger.Close)
	if err == nil {
		err = closed
	}
	if err != nil {
		return found, err
	}
	found, err = i.target.read(ctx, func(lottery.Stretch) error { return nil })
	if err != nil {
		return found, fmt.Errorf("read what was imported: %w", err)
	}
	if difference := i.known.differsFrom(&found); difference != "" {
		return found, fmt.Errorf("the source and what was imported differ: %s", difference)
	}
	return found, nil
}
