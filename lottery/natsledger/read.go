package natsledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"loteria/lottery"
)

// metadataAgencies is the key of the number of agencies in a stream's metadata.
const metadataAgencies = "loteria-agencies"

// Read reads a whole contest, even while centrals write to it: at least all that
// was acknowledged before the call. It calls visit for the stretches in the order
// of the stream; each is only valid until visit returns.
//
// It checks that no message is missing, each agency's chain, counts, rows and
// digest, and the draw. What one server lacks is read from another one, and the
// report names such servers. The error is a *DamageError when no server has a
// message, or when one is not as a central writes it; else it is visit's, or says
// why the stream could not be read before ctx ended. The report covers what came
// before an error.
func Read(ctx context.Context, c Config, visit func(lottery.Stretch) error) (Report, error) {
	r, terms, leave, err := openReader(ctx, c)
	if err != nil {
		return Report{Stream: streamName(c.Contest)}, err
	}
	defer leave()
	return r.read(ctx, terms, visit)
}

// IsDrawn tells whether the draw of a contest is made, without reading the bets.
func IsDrawn(ctx context.Context, c Config) (bool, error) {
	r, _, leave, err := openReader(ctx, c)
	if err != nil {
		return false, err
	}
	defer leave()
	stream, err := r.js.Stream(ctx, r.stream)
	if err == nil {
		_, err = stream.GetLastMsgForSubject(ctx, drawSubject(r.stream))
	}
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for the draw in the stream %s: %w", r.stream, err)
	}
	return true, nil
}

// Check is Read of every server's copy, one after the other, without visit. The
// error is a *DamageError even when only one server lacks something. A server that
// does not answer, or is behind, is no error: its copy is marked as unread.
func Check(ctx context.Context, c Config) (Report, error) {
	r, terms, leave, err := openReader(ctx, c)
	if err != nil {
		return Report{Stream: streamName(c.Contest)}, err
	}
	defer leave()
	report, err := r.read(ctx, terms, func(lottery.Stretch) error { return nil })
	if err != nil {
		return report, err
	}
	info, err := r.info(ctx)
	if err != nil {
		return report, err
	}
	if info.Cluster != nil {
		for _, p := range info.Cluster.Replicas {
			if p.Offline {
				report.Copies = append(report.Copies, Copy{Server: p.Name, Unread: errAway})
			}
		}
	}
	var damage error
	for _, server := range r.serversOf(info) {
		_, err := r.readAll(ctx, server, newVerifier(r.stream, r.agencies, true), nil)
		var lacks *DamageError
		switch {
		case err == nil:
			report.Copies = append(report.Copies, Copy{Server: server})
		case errors.As(err, &lacks):
			report.Copies = append(report.Copies, Copy{Server: server, Missing: lacks.Sequence})
			damage = errors.Join(damage, err)
		case errors.Is(err, errAway) || errors.Is(err, errLag):
			report.Copies = append(report.Copies, Copy{Server: server, Unread: err})
		default:
			return report, err
		}
	}
	return report, damage
}

// read is Read of a stream that was found.
func (r *reader) read(ctx context.Context, terms lottery.Terms, visit func(lottery.Stretch) error) (Report, error) {
	v := newVerifier(r.stream, terms.Agencies, true)
	if err := r.confirm(ctx); err != nil {
		return v.report(), err
	}
	damaged, err := r.readAll(ctx, "", v, visit)
	report := v.report()
	report.Terms.Agencies = terms.Agencies
	for _, server := range slices.Sorted(maps.Keys(damaged)) {
		report.Damaged = append(report.Damaged, Copy{Server: server, Missing: damaged[server]})
	}
	return report, err
}

// readAll gives v all messages that it has not had yet, and the stretches to visit,
// which may be nil. If server is set, only its copy is read. It returns the servers
// that lack messages, with the first one that each lacks.
func (r *reader) readAll(ctx context.Context, server string, v *verifier, visit func(lottery.Stretch) error) (map[string]uint64, error) {
	s := scan{reader: r, headersOnly: !v.withRows, server: server, next: v.messages + 1}
	if v.withRows {
		s.ahead = func(msg jetstream.Msg) *rowsRead { return v.ahead(msg.Subject(), msg.Data()) }
	}
	s.visit = func(sequence uint64, msg jetstream.Msg, read *rowsRead) error {
		stretch, bets, err := v.message(sequence, msg.Subject(), msg.Headers(), msg.Data(), read)
		if err == nil && v.isNoted() {
			meta, err := msg.Metadata()
			if err != nil {
				return err
			}
			v.note(meta.Timestamp)
		}
		if err != nil || !bets || visit == nil {
			return err
		}
		return visit(stretch)
	}
	err := s.run(ctx)
	if err == nil {
		err = v.finish(s.last)
	}
	return s.damaged, err
}

// report returns what was seen.
func (v *verifier) report() Report {
	report := Report{Stream: v.stream, Terms: lottery.Terms{Agencies: len(v.chains), Deadline: v.deadline.time}, Times: v.seenTimes(),
		Messages: v.messages, Rows: v.rows, Bytes: v.bytes, Drawn: v.drawn > 0}
	for i := range v.chains {
		if c := &v.chains[i]; c.bets > 0 || c.ended != lottery.Open {
			report.Agencies = append(report.Agencies, AgencyReport{i + 1, c.bets, c.digest.Sum64(), len(c.winners), c.ended})
		}
	}
	return report
}

// openReader connects to the servers, finds the stream and reads its number of
// agencies. leave ends the connection.
func openReader(ctx context.Context, c Config) (r *reader, terms lottery.Terms, leave func(), err error) {
	connecting, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	conn, gone, err := connect(connecting, &c)
	if err != nil {
		return nil, terms, nil, err
	}
	defer func() {
		if err != nil {
			closeConn(conn, gone)
		}
	}()
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, terms, nil, err
	}
	r = newReader(js, streamName(c.Contest), 0, c.Log)
	r.patience = readPatience
	info, err := r.info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = fmt.Errorf("there is no contest %s on %s: %w", c.Contest, strings.Join(c.Servers, ", "), err)
	}
	if err != nil {
		return nil, terms, nil, err
	}
	text := info.Config.Metadata[metadataAgencies]
	if terms.Agencies, err = strconv.Atoi(text); err != nil || terms.Agencies < 1 {
		err = &DamageError{Stream: r.stream, Found: fmt.Sprintf("the number of agencies %.40q in its metadata", text), Expected: "a contest's stream"}
		return nil, terms, nil, err
	}
	r.agencies = terms.Agencies
	return r, terms, func() { closeConn(conn, gone) }, nil
}
