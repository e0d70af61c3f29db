package natsledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	lookEvery     = time.Second
	behindTime    = 5 * time.Second // that a copy may be behind the leader without a line in the log
	stepDownEvery = 10 * time.Second
	scrubEvery    = 30 * time.Second // of a server that is known to be damaged: it may have been mended
	scrubShare    = 20               // the least pause before the next, in times of what the last one took
	nearlyFull    = 0.95             // of the bytes that a stream may have
	largest       = 512 << 10        // bytes that the largest message takes in the stream, and more
)

// watch looks at a stream each second, and after each change of its leader.
//
// A server whose blocks are damaged silently serves the stream with holes, even as
// its leader. At times its counts show that; otherwise only reading does. So the
// whole copy of each new leader is read once, headers only. While a damaged server
// leads, nothing may be stored or told, and it is asked to give the stream to a
// server that has all of it.
type watch struct {
	*reader
	created time.Time               // of the stream
	wakes   chan struct{}           // look now
	barrier atomic.Pointer[problem] // blocked, for those who cannot wait: a look may take as long as a write to a socket
	known   atomic.Uint64           // highest sequence number that is known to have been stored

	mu       sync.Mutex
	health   Health
	blocked  *problem
	leader   string               // the last one that was known
	damaged  map[string]uint64    // servers whose copy lacks messages, with the first one; 0 is not known
	behind   map[string]time.Time // servers whose copy is not as far as the leader's, since when
	foreign  *DamageError         // what no central has written, in every copy
	short    int                  // looks in a row at a leader that lacks the last messages
	stepped  time.Time            // when a leader was asked to step down
	scrubbed string               // the leader whose copy was read since it leads
	scrub    scrubbing
	shown    map[string]string // the state of each subject that was logged last
	looked   func(Health)      // called after each look; may be nil
}

// problem is something that is wrong with the stream. Its text may have numbers
// that change; its name has none.
type problem struct {
	name, text string
	mild       bool // the ledger goes on
}

func (p *problem) Error() string { return p.text }

func trouble(name, format string, args ...any) *problem {
	return &problem{name: name, text: fmt.Sprintf(format, args...)}
}

// scrubbing is the reading of one server's copy.
type scrubbing struct {
	running bool
	next    time.Time // not before
}

// todo is what a look has found to be done.
type todo struct {
	scrub    string // read this server's copy
	stepDown bool   // ask the leader to give the stream away,
	to       string // to this server
}

// newWatch returns a watch over a stream as it is known from info.
func newWatch(r *reader, info *jetstream.StreamInfo) *watch {
	w := &watch{reader: r, created: info.Created, wakes: make(chan struct{}, 1), damaged: make(map[string]uint64), behind: make(map[string]time.Time), shown: make(map[string]string)}
	r.missed = w.lacks
	w.stored(info.State.LastSeq)
	return w
}

// stored notes that the message with that sequence number is in the stream.
func (w *watch) stored(sequence uint64) {
	for {
		known := w.known.Load()
		if sequence <= known || w.known.CompareAndSwap(known, sequence) {
			return
		}
	}
}

// blockedBy returns why nothing may be stored or told: the stream's leader lacks
// messages, or it is another stream. It is nil when the servers may be asked,
// though they may not answer.
func (w *watch) blockedBy() error {
	if blocked := w.barrier.Load(); blocked != nil {
		return blocked
	}
	return nil
}

// state returns the state of the servers, without InFlight.
func (w *watch) state() Health {
	h := w.snapshot()
	h.Server = w.js.Conn().ConnectedServerName()
	return h
}

// snapshot is state without the server.
func (w *watch) snapshot() Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.health
	h.Replicas = slices.Clone(h.Replicas)
	return h
}

// wake has the watch look at once.
func (w *watch) wake() {
	select {
	case w.wakes <- struct{}{}:
	default:
	}
}

// run looks until ctx is done.
func (w *watch) run(ctx context.Context) {
	// The servers tell of a new leader, where the central's user may hear that
	// (https://docs.nats.io/running-a-nats-service/nats_admin/monitoring/monitoring_jetstream).
	elected, err := w.js.Conn().Subscribe("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."+w.stream, func(*nats.Msg) { w.wake() })
	if err == nil {
		defer func() { _ = elected.Unsubscribe() }()
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var scrubs sync.WaitGroup
	defer scrubs.Wait()
	for {
		known := w.known.Load()
		info, err := w.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		do := w.look(info, known, err, time.Now())
		if w.looked != nil {
			w.looked(w.state())
		}
		if do.stepDown {
			w.stepDown(ctx, info.Cluster.Leader, do.to)
		}
		if do.scrub != "" {
			scrubs.Go(func() { w.readCopy(ctx, do.scrub) })
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wakes:
		case <-ticker.C:
		}
	}
}

// look evaluates the leader's answer. known is a sequence number that was stored
// before the leader was asked.
func (w *watch) look(info *jetstream.StreamInfo, known uint64, failure error, now time.Time) (do todo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.barrier.Store(w.blocked) }()
	switch {
	case errors.Is(failure, jetstream.ErrStreamNotFound):
		w.blocked = trouble("deleted", "there is no stream %s any more: somebody has deleted it", w.stream)
		w.silent(w.blocked)
		return do
	case failure != nil && !w.js.Conn().IsConnected():
		w.silent(trouble("disconnected", "no connection to any of the NATS servers (%v)", failure))
		return do
	case failure != nil:
		w.silent(trouble("no answer", "the leader of stream %s does not answer: most of its servers have to run and reach each other (%v)", w.stream, failure))
		return do
	case info.Cluster != nil && info.Cluster.Leader == "":
		w.silent(trouble("no leader", "the stream %s has no leader: most of its servers have to run and reach each other", w.stream))
		return do
	}
	leader := w.serversOf(info)[0]
	if w.leader != leader {
		w.scrubbed, w.short = "", 0
		w.log.Info().Str("action", "stream_leader").Str("result", "success").Str("stream", w.stream).Str("server", leader).Send()
	}
	w.leader = leader
	w.note(info, leader, now)
	if !info.Created.Equal(w.created) {
		w.blocked = trouble("another", "the stream %s was deleted and made again at %s: it is another contest", w.stream, info.Created.Format(time.RFC3339))
	} else {
		w.blocked = w.judge(info, leader, known)
	}
	wrong := w.blocked
	if wrong == nil {
		wrong = w.lesser(info)
	}
	w.setProblem(wrong)
	return w.next(leader, now)
}

// silent notes that the leader is not known.
func (w *watch) silent(wrong *problem) {
	w.health.Leader = ""
	w.setProblem(wrong)
}

func (w *watch) setProblem(wrong *problem) {
	w.health.Problem = nil
	if wrong != nil {
		w.health.Problem = wrong
	}
	w.show("stream_problem", "", wrong)
}

// show logs a change of what is wrong with something; nil is nothing. The server
// may be empty.
func (w *watch) show(action, server string, wrong *problem) {
	name := ""
	if wrong != nil {
		name = wrong.name
	}
	if w.shown[action+" "+server] == name {
		return
	}
	w.shown[action+" "+server] = name
	line := w.log.Info().Str("action", action).Str("result", "success")
	if wrong != nil {
		line = w.log.Error()
		if wrong.mild {
			line = w.log.Warn()
		}
		line = line.Str("action", action).Str("result", "fail").Err(wrong)
	}
	if server != "" {
		line = line.Str("server", server)
	}
	line.Str("stream", w.stream).Send()
}

// note keeps what the leader says of the stream.
func (w *watch) note(info *jetstream.StreamInfo, leader string, now time.Time) {
	if damage := countsDamage(&info.State); damage != "" {
		if _, known := w.damaged[leader]; !known {
			w.damaged[leader] = 0
		}
		w.show("stream_counts", leader, trouble("holes", "as the leader says %s", damage))
	}
	h := &w.health
	h.Leader, h.Asked = leader, now
	h.Messages, h.Bytes, h.MaxBytes = info.State.Msgs, info.State.Bytes, max(info.Config.MaxBytes, 0)
	replicas := []Replica{{Server: leader, Current: true}}
	if info.Cluster != nil {
		for _, p := range info.Cluster.Replicas {
			replicas = append(replicas, Replica{Server: p.Name, Current: p.Current, Offline: p.Offline, Lag: p.Lag, Active: p.Active})
		}
	}
	for i := range replicas {
		r := &replicas[i]
		_, r.Damaged = w.damaged[r.Server]
		var state *problem
		switch {
		case r.Offline:
			w.scrub.next = time.Time{} // it may come back with an empty folder
			state = trouble("offline", "the leader does not hear from it")
		case !r.Current && w.isBehind(r.Server, now):
			state = trouble("behind", "it is behind the leader, which last heard from it %v ago", r.Active.Round(time.Millisecond))
		case r.Current:
			delete(w.behind, r.Server)
		}
		if state != nil {
			state.mild = true
		}
		w.show("stream_replica", r.Server, state)
	}
	slices.SortFunc(replicas, func(a, b Replica) int { return cmp.Compare(a.Server, b.Server) })
	h.Replicas = replicas
}

// isBehind notes that a server's copy is not as far as the leader's, and reports
// whether that has lasted. Under load every copy is behind for a moment.
func (w *watch) isBehind(server string, now time.Time) bool {
	since, known := w.behind[server]
	if !known {
		w.behind[server] = now
		return false
	}
	return now.Sub(since) >= behindTime
}

// judge returns why nothing may be stored while this server leads, or nil.
func (w *watch) judge(info *jetstream.StreamInfo, leader string, known uint64) *problem {
	if missing, is := w.damaged[leader]; is {
		what := "messages"
		if missing > 0 {
			what = fmt.Sprintf("message %d", missing)
		}
		return trouble("damaged "+leader, "server %s leads the stream %s although its copy lacks %s: stop that server, empty its storage folder (store_dir), and start it again "+
			"while the other servers run, as docs/cluster.md says", leader, w.stream, what)
	}
	// A leader that has just begun may not have come to its last messages yet.
	if info.State.LastSeq < known {
		if w.short++; w.short > 1 {
			return trouble("short "+leader, "server %s leads the stream %s with %d messages, although %d were stored: it is cut off from the others, or has lost messages; "+
				"if this lasts see docs/cluster.md", leader, w.stream, info.State.LastSeq, known)
		}
	} else {
		w.short = 0
	}
	w.stored(info.State.LastSeq)
	return nil
}

// lesser returns a problem that lets the ledger go on, or nil.
func (w *watch) lesser(info *jetstream.StreamInfo) *problem {
	limit, bytes := info.Config.MaxBytes, info.State.Bytes
	var near *problem
	if limit > 0 && float64(bytes) >= nearlyFull*float64(limit) {
		near = trouble("nearly full", "the stream %s has %d of the %d bytes that it may have: raise its limit as docs/cluster.md says", w.stream, bytes, limit)
	}
	if near != nil {
		near.mild = true
	}
	w.show("stream_full", "", near)
	switch {
	case near != nil && bytes+min(largest, uint64(limit)/20) > uint64(limit):
		return trouble("full", "full: %v", near)
	case w.foreign != nil:
		return trouble("foreign", "%v", w.foreign)
	}
	return nil
}

// next decides what is to be done.
func (w *watch) next(leader string, now time.Time) (do todo) {
	if !w.scrub.running {
		switch {
		case w.scrubbed != leader:
			do.scrub = leader
		case now.After(w.scrub.next):
			do.scrub = w.mended()
		}
		w.scrub.running = do.scrub != ""
	}
	if w.blocked == nil || now.Sub(w.stepped) < stepDownEvery {
		return do
	}
	for _, r := range w.health.Replicas {
		if r.Server != leader && r.Current && !r.Offline && !r.Damaged {
			w.stepped, do.stepDown, do.to = now, true, r.Server
			break
		}
	}
	return do
}

// mended returns a damaged server that may have been mended, or "".
func (w *watch) mended() string {
	for _, r := range w.health.Replicas {
		if r.Damaged && r.Current && !r.Offline {
			return r.Server
		}
	}
	return ""
}

// countsDamage returns what is wrong with the counts of a stream from which
// nothing is ever removed, or "".
func countsDamage(s *jetstream.StreamState) string {
	switch {
	case s.Lost != nil && len(s.Lost.Msgs) > 0:
		return fmt.Sprintf("it has lost %d messages", len(s.Lost.Msgs))
	case s.LastSeq > 0 && s.FirstSeq != 1:
		return fmt.Sprintf("its first message is %d, expected 1", s.FirstSeq)
	case s.NumDeleted != 0:
		return fmt.Sprintf("it lacks %d messages", s.NumDeleted)
	case s.Msgs != s.LastSeq:
		return fmt.Sprintf("it has %d messages, the last of them is %d", s.Msgs, s.LastSeq)
	}
	return ""
}

// lacks notes that a server's copy lacks a message that the leader counts.
func (w *watch) lacks(server string, sequence uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if first, known := w.damaged[server]; !known || first == 0 {
		w.damaged[server] = sequence
		w.show("stream_copy", server, trouble("holes", "its copy lacks message %d: the servers never mend that", sequence))
		w.wake()
	}
}

// readCopy reads a server's copy, headers only, and notes whether it is whole.
func (w *watch) readCopy(ctx context.Context, server string) {
	began := time.Now()
	_, err := w.readAll(ctx, server, newVerifier(w.stream, w.agencies, false), nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scrub.running = false
	w.scrub.next = time.Now().Add(max(scrubEvery, scrubShare*time.Since(began)))
	var damage *DamageError
	switch {
	case err == nil:
		w.foreign = nil
		delete(w.damaged, server)
		w.show("stream_copy", server, nil)
		w.show("stream_counts", server, nil)
	case !errors.As(err, &damage):
		return // it could not be read: it is tried again
	case !damage.missing:
		w.foreign = damage
	}
	if server == w.leader {
		w.scrubbed = server
	}
	w.wake()
}

// stepDown asks the leader to give the stream to another server.
func (w *watch) stepDown(ctx context.Context, leader, to string) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request := fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, to)
	answer, err := w.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+w.stream, request)
	if err == nil {
		err = apiError(answer.Data)
	}
	if err != nil {
		w.log.Error().Str("action", "step_down").Str("result", "fail").Str("stream", w.stream).Str("server", leader).Str("to", to).Err(err).Send()
		return
	}
	w.log.Warn().Str("action", "step_down").Str("result", "success").Str("stream", w.stream).Str("server", leader).Str("to", to).Send()
	w.wake()
}

// apiError returns the error of an answer of JetStream's API, or nil.
func apiError(answer []byte) error {
	var a struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	if a.Error != nil {
		return a.Error
	}
	return nil
}

// Watch reports on a contest's servers each second, until ctx is done. Like a
// central, it reads the copy of each new leader, and asks a damaged one to step
// down. The error is why the contest cannot be watched.
func Watch(ctx context.Context, c Config, told func(Health)) error {
	r, _, leave, err := openReader(ctx, c)
	if err != nil {
		return err
	}
	defer leave()
	info, err := r.info(ctx)
	if err != nil {
		return err
	}
	w := newWatch(r, info)
	w.looked = told
	w.run(ctx)
	return nil
}
