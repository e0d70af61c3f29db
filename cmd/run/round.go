package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"loteria/cmd/internal/progress"
	"loteria/cmd/internal/signals"
	"loteria/internal/process"
)

const (
	runsFolder    = "run"                  // holds the folder of each run; it is in the working directory
	defaultGrace  = 10 * time.Second       // between SIGTERM and SIGKILL
	progressPause = 2 * time.Second        // between two lines of progress, where there are no bars
	settleTime    = 250 * time.Millisecond // after an agency's failure, for a central's that explains it
)

// round is one run of the lottery.
type round struct {
	opts     options
	dir      string // of this run
	screen   *screen
	bars     *progress.Group
	central  *process.Central // nil when it is somebody else's
	page     string           // what messages say of it
	agencies []*agency
	begun    time.Time               // when the first agency began
	took     time.Duration           // from then until the last one knew its winners
	drawn    sync.Once               // announces the draw
	fail     context.CancelCauseFunc // ends the run
}

// play runs the lottery once, unless ctx ends it. The screen shows the details of
// the error.
func play(ctx context.Context, opts options, out io.Writer) error {
	r := &round{opts: opts, screen: newScreen(out)}
	if err := r.prepare(); err != nil {
		return err
	}
	r.screen.say("run", fmt.Sprintf("%s, data from %s, everything is kept in %s",
		plural(opts.agencies, "agency", "agencies"), opts.data, r.dir))
	ctx, r.fail = context.WithCancelCause(ctx)
	defer r.fail(nil)

	err := r.play(ctx)
	r.screen.closeBars()
	if r.central != nil {
		if stopErr := process.Stop(opts.grace, r.central.Process); err == nil {
			err = stopErr
		}
		if err == nil {
			err = r.check()
		}
	}
	if f := (*process.Failure)(nil); errors.As(err, &f) {
		r.screen.print(fmt.Sprintf("\nLog of %s, the last lines (all of it is in %s):", f.Of.Name, f.Of.Log))
		for line := range strings.SplitSeq(f.Of.Tail(), "\n") {
			r.screen.print("    " + progress.Printable(line))
		}
	}
	return err
}

// prepare checks what the run needs, and makes its folder.
func (r *round) prepare() error {
	server := filepath.Join(r.opts.bin, "server")
	if _, err := os.Stat(server); err != nil && r.opts.central == "" {
		return fmt.Errorf("there is no %s: build it first (make build)", server)
	}
	// The agencies check what is in it.
	if info, err := os.Stat(r.opts.data); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no data folder %s", r.opts.data)
	}
	if err := os.MkdirAll(runsFolder, 0o755); err != nil {
		return err
	}
	r.dir = filepath.Join(runsFolder, time.Now().Format("2006-01-02T15-04-05.000"))
	return os.Mkdir(r.dir, 0o755)
}

// play runs the lottery from the first start to the result, and then stays up if it
// is to.
func (r *round) play(ctx context.Context) (err error) {
	limited, cancel := context.WithTimeoutCause(ctx, r.opts.timeout, fmt.Errorf("not done after %s", r.opts.timeout))
	defer cancel()
	address := r.opts.central
	if address == "" {
		if address, err = r.startCentral(limited); err != nil {
			return err
		}
	}
	if err := r.playAgencies(limited, strings.Split(address, ",")); err != nil {
		return err
	}
	r.screen.closeBars()
	r.screen.print(r.result())
	if !r.opts.stay {
		return nil
	}
	r.screen.say("run", fmt.Sprintf("the central stays up, listening on %s%s, until Ctrl-C", address, r.page))
	<-ctx.Done()
	err = context.Cause(ctx)
	if by := (signals.Received{}); errors.As(err, &by) && by.Signal != syscall.SIGHUP {
		return nil
	}
	return err
}

// playAgencies runs all agencies, spread over the centrals, and reports their
// progress.
func (r *round) playAgencies(ctx context.Context, centrals []string) error {
	for id := 1; id <= r.opts.agencies; id++ {
		r.agencies = append(r.agencies, &agency{id: id})
	}
	r.begun = time.Now()
	r.bars = r.screen.openBars(r.agencies)
	ended := make(chan error)
	for _, a := range r.agencies {
		r.screen.detail(a.String(), "started")
		first := (a.id - 1) % len(centrals)
		addresses := strings.Join(slices.Concat(centrals[first:], centrals[:first]), ",")
		go func() { ended <- r.playAgency(ctx, a, addresses) }()
	}
	pause := time.NewTicker(progressPause)
	defer pause.Stop()
	failed := false
	for left := len(r.agencies); left > 0; {
		select {
		case <-pause.C:
			r.screen.detail("progress", r.progress())
		case err := <-ended:
			left--
			if err != nil && ctx.Err() == nil {
				failed = true
				r.screen.alarm("run", err.Error())
				time.AfterFunc(settleTime, func() { r.fail(err) })
			}
		}
	}
	if failed {
		<-ctx.Done()
	}
	r.took = time.Since(r.begun)
	return context.Cause(ctx)
}
