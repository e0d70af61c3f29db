package natsledger

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// unconnected is a JetStream without a server.
type unconnected struct{ jetstream.JetStream }

func (unconnected) Conn() *nats.Conn { return new(nats.Conn) }

// answer is what the leader of a stream of three says, when all is well.
func answer(leader string, messages uint64) *jetstream.StreamInfo {
	info := &jetstream.StreamInfo{Created: time.Unix(1, 0), Cluster: &jetstream.ClusterInfo{Leader: leader}}
	info.Config.MaxBytes = 100 << 20
	info.State = jetstream.StreamState{Msgs: messages, FirstSeq: 1, LastSeq: messages, Bytes: messages}
	for _, server := range []string{"a", "b", "c"} {
		if server != leader {
			info.Cluster.Replicas = append(info.Cluster.Replicas, &jetstream.PeerInfo{Name: server, Current: true})
		}
	}
	return info
}

func newTestWatch(log *bytes.Buffer) *watch {
	return newWatch(newReader(unconnected{}, "s", 3, zerolog.New(log)), answer("a", 10))
}

// Each state is told, blocks or does not, and is logged once.
func TestWatchStates(t *testing.T) {
	change := func(f func(*jetstream.StreamInfo)) *jetstream.StreamInfo {
		info := answer("a", 10)
		f(info)
		return info
	}
	tests := []struct {
		name    string
		info    *jetstream.StreamInfo
		err     error
		problem string // empty is none
		blocks  bool
		to      string // who is asked to lead instead
	}{
		{name: "well", info: answer("a", 10)},
		{name: "nothing yet", info: answer("a", 0)},
		{name: "no answer", err: context.DeadlineExceeded, problem: "no connection"},
		{name: "deleted", err: jetstream.ErrStreamNotFound, problem: "no stream s any more", blocks: true},
		{name: "made again", info: change(func(i *jetstream.StreamInfo) { i.Created = time.Unix(2, 0) }), problem: "another contest", blocks: true, to: "b"},
		{name: "no leader", info: change(func(i *jetstream.StreamInfo) { i.Cluster.Leader = "" }), problem: "no leader"},
		{name: "a hole", info: change(func(i *jetstream.StreamInfo) { i.State.Msgs, i.State.NumDeleted = 9, 1 }),
			problem: "server a leads the stream s although its copy lacks messages", blocks: true, to: "b"},
		{name: "no beginning", info: change(func(i *jetstream.StreamInfo) { i.State.Msgs, i.State.FirstSeq = 9, 2 }), problem: "server a leads", blocks: true, to: "b"},
		{name: "lost", info: change(func(i *jetstream.StreamInfo) { i.State.Lost = &jetstream.LostStreamData{Msgs: []uint64{5}} }), problem: "server a leads", blocks: true, to: "b"},
		{name: "one is whole and current", info: change(func(i *jetstream.StreamInfo) {
			i.State.Msgs, i.State.NumDeleted = 9, 1
			i.Cluster.Replicas[0].Current = false
		}), problem: "server a leads", blocks: true, to: "c"},
		{name: "none is current", info: change(func(i *jetstream.StreamInfo) {
			i.State.Msgs, i.State.NumDeleted = 9, 1
			i.Cluster.Replicas[0].Current, i.Cluster.Replicas[1].Offline = false, true
		}), problem: "server a leads", blocks: true},
		{name: "one server alone", info: change(func(i *jetstream.StreamInfo) { i.Cluster, i.State.NumDeleted = nil, 1 }), problem: "although its copy lacks", blocks: true},
		{name: "nearly full", info: change(func(i *jetstream.StreamInfo) { i.State.Bytes = 96 << 20 })},
		{name: "full", info: change(func(i *jetstream.StreamInfo) { i.State.Bytes = 100<<20 - 1000 }), problem: "full: "},
		{name: "without a limit", info: change(func(i *jetstream.StreamInfo) { i.Config.MaxBytes, i.State.Bytes = -1, 1<<40 })},
		{name: "a replica is down", info: change(func(i *jetstream.StreamInfo) {
			i.Cluster.Replicas[0].Offline, i.Cluster.Replicas[0].Current = true, false
		})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			w := newTestWatch(&log)
			w.known.Store(0)
			do := w.look(test.info, 0, test.err, time.Now())
			h := w.state()
			if (h.Problem == nil) != (test.problem == "") || h.Problem != nil && !strings.Contains(h.Problem.Error(), test.problem) {
				t.Errorf("the problem is %v, want %q", h.Problem, test.problem)
			}
			if err := w.blockedBy(); (err != nil) != test.blocks {
				t.Errorf("it is blocked by %v, want %t", err, test.blocks)
			}
			if do.to != test.to || do.stepDown != (test.to != "") {
				t.Errorf("%+v, want a step down to %q", do, test.to)
			}
			lines := strings.Count(log.String(), "\n")
			if (test.problem != "") != strings.Contains(log.String(), "stream_problem") {
				t.Errorf("the log is\n%s", &log)
			}
			w.look(test.info, 0, test.err, time.Now())
			if again := strings.Count(log.String(), "\n"); again != lines {
				t.Errorf("the same is logged again:\n%s", &log)
			}
		})
	}
}

// A leader is asked to step down, and read, no more often than that.
func TestWatchOfADamagedLeader(t *testing.T) {
	w := newTestWatch(new(bytes.Buffer))
	holes := answer("a", 10)
	holes.State.NumDeleted, holes.State.Msgs = 1, 9
	now := time.Now()
	if do := w.look(holes, 10, nil, now); !do.stepDown || do.scrub != "a" {
		t.Errorf("%+v, want a step down and a look at a", do)
	}
	if do := w.look(holes, 10, nil, now.Add(stepDownEvery-1)); do.stepDown || do.scrub != "" {
		t.Errorf("%+v, want nothing so soon", do)
	}
	if do := w.look(holes, 10, nil, now.Add(stepDownEvery)); !do.stepDown {
		t.Errorf("%+v, want it asked again", do)
	}
	w.look(answer("b", 10), 10, nil, now.Add(stepDownEvery))
	h := w.state()
	if h.Problem != nil || !slices.ContainsFunc(h.Replicas, func(r Replica) bool { return r.Server == "a" && r.Damaged }) {
		t.Errorf("%+v, want a damaged a and no problem", h)
	}
	// It leads again, and its counts are right: it may lack messages nevertheless.
	if w.look(answer("a", 10), 10, nil, now.Add(stepDownEvery)); w.blockedBy() == nil {
		t.Error("the damage of a is forgotten")
	}
}

// A leader that lacks the last messages may only be slow: but not twice.
func TestWatchOfAShortLeader(t *testing.T) {
	w := newTestWatch(new(bytes.Buffer))
	w.stored(12)
	if w.look(answer("a", 11), 12, nil, time.Now()); w.blockedBy() != nil {
		t.Errorf("%v, at the first look", w.blockedBy())
	}
	if w.look(answer("a", 11), 12, nil, time.Now()); w.blockedBy() == nil {
		t.Error("message 12 is lost, and nobody says so")
	}
	if w.look(answer("b", 12), 12, nil, time.Now()); w.blockedBy() != nil {
		t.Errorf("%v, although b has it", w.blockedBy())
	}
}

// A copy that is behind for a moment, as all are now and then while many bet, is
// not worth a line; one that stays behind is.
func TestWatchBehind(t *testing.T) {
	var log bytes.Buffer
	w := newTestWatch(&log)
	now := time.Unix(1000, 0)
	look := func(after time.Duration, current bool) {
		now = now.Add(after)
		info := answer("a", 10)
		info.Cluster.Replicas[0].Current = current
		w.note(info, "a", now)
	}
	look(0, true)
	for range 20 {
		look(behindTime/2, false)
		look(behindTime/2, true)
	}
	if log.Len() > 0 {
		t.Fatalf("a copy that catches up is logged:\n%s", &log)
	}
	look(0, false)
	if look(behindTime, false); !strings.Contains(log.String(), "behind the leader") {
		t.Fatalf("a copy that stays behind is not logged:\n%s", &log)
	}
	if look(0, true); strings.Count(log.String(), "stream_replica") != 2 {
		t.Errorf("the log is, expected one line and that it is over:\n%s", &log)
	}
}
