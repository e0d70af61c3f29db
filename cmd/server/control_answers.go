package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/lottery"
)

// statusAnswer is the answer to GET /status: the admin port's /api/state, and whom
// the draw waits for.
type statusAnswer struct {
	admin.State
	Waiting     []awaitedAgency `json:"awaited_agencies"` // the first ones, maxAwaited at most
	MoreWaiting int             `json:"more_awaited"`     // after those
	Missing     []int           `json:"missing"`          // likewise, agencies whose betting was ended for them
	MoreMissing int             `json:"more_missing"`     // after those
}

// awaitedAgency is an agency that has not finished.
type awaitedAgency struct {
	Agency    int       `json:"agency"`
	Bets      uint64    `json:"bets"`           // that are stored, or on their way to the disk
	LastHeard time.Time `json:"heard"`          // when its last request came, or the central started
	Silent    float64   `json:"silent_seconds"` // since then
}

// endRequest is what POST /end takes.
type endRequest struct {
	Agencies []int `json:"agencies"`
}

// endAnswer says what has become of the agencies.
type endAnswer struct {
	Agencies []endedAgency `json:"agencies"` // ascending, each once
	Phase    lottery.Phase `json:"phase"`    // of the contest then
	Awaited  int           `json:"awaited"`  // agencies that the draw still waits for
}

type endedAgency struct {
	Agency int    `json:"agency"`
	Result ending `json:"result"`
	Bets   uint64 `json:"bets"` // that are stored
}

// ending is what has become of an agency whose betting was to be ended.
type ending string

const (
	endedNow    ending = "ended"
	hadFinished ending = "finished" // it has said FINISHED, before or meanwhile
	hadEnded    ending = "missing"  // its betting was ended before
)

// deadlineRequest is what POST /deadline takes: a time as --draw-deadline takes it.
// Without an offset it is the central's local time.
type deadlineRequest struct {
	Deadline string `json:"deadline"`
}

// deadlineAnswer has times in the central's zone.
type deadlineAnswer struct {
	Deadline time.Time     `json:"deadline"`
	Replaces *time.Time    `json:"replaces"` // null when there was none
	Zone     string        `json:"zone"`
	Phase    lottery.Phase `json:"phase"` // of the contest then
}

// drainAnswer is a line of the answer to POST /drain, which goes on until the
// central has ended: then Ended is set, and the connection ends with the process.
type drainAnswer struct {
	Connections int    `json:"connections"`
	Waiting     int    `json:"waiting_bytes"` // of frames that have no answer yet
	Ended       bool   `json:"ended"`
	ExitCode    int    `json:"exit_code"`
	Error       string `json:"error,omitempty"` // why that is not 0
}

// errorAnswer is the answer to a refused request.
type errorAnswer struct {
	Error string `json:"error"`
}

// handler serves the socket's requests.
func (c *control) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", c.status)
	mux.HandleFunc("POST /end", c.end)
	mux.HandleFunc("POST /deadline", c.deadline)
	mux.HandleFunc("POST /drain", c.drainCentral)
	return c.guarded(mux)
}

// guarded refuses peers that may not operate the central, and makes close wait for
// the answers to the others.
func (c *control) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Only its owner can connect, unless somebody has changed the mode.
		if peer := peerOfRequest(r); !peer.mayControl() {
			c.logRefused(r, errStranger)
			answerWith(w, nil, errStranger)
			return
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			answerWith(w, nil, errStopping)
			return
		}
		c.answers.Add(1)
		c.mu.Unlock()
		answered := sync.OnceFunc(c.answers.Done)
		defer answered()
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), answeredKey{}, answered)))
	})
}

// answeredKey is the context key of the function that a handler calls when its
// answer is written, if it does not return then.
type answeredKey struct{}

var errStranger = &refused{http.StatusForbidden, "only the central's own user and root may do that"}

// answerWith writes an answer, or err. The client may have gone.
func answerWith(w http.ResponseWriter, answer any, err error) {
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		if r := (*refused)(nil); errors.As(err, &r) {
			status = r.status
		}
		answer = errorAnswer{err.Error()}
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(controlWrite))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// takeRequest decodes a request.
func takeRequest(w http.ResponseWriter, r *http.Request, request any) error {
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	body.DisallowUnknownFields()
	if err := body.Decode(request); err != nil {
		return refusal(http.StatusBadRequest, "the request cannot be read: %v", err)
	}
	return nil
}

// commandOf returns a request's command for the log.
func commandOf(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/") }

// logDone begins the log line about a command of an operator.
func (c *control) logDone(r *http.Request) *zerolog.Event {
	return c.log.Info().Str("action", "control").Str("result", "success").Str("command", commandOf(r)).Stringer("by", peerOfRequest(r))
}

func (c *control) logRefused(r *http.Request, err error) {
	c.log.Warn().Str("action", "control").Str("result", "fail").Str("command", commandOf(r)).Stringer("by", peerOfRequest(r)).Err(err).Send()
}

// status answers with the central's present state.
func (c *control) status(w http.ResponseWriter, _ *http.Request) {
	answer := statusAnswer{State: c.shown.State(), Waiting: []awaitedAgency{}, Missing: []int{}}
	if o := c.operated.Load(); o != nil {
		for _, a := range o.contest.Awaited() {
			if len(answer.Waiting) == maxAwaited {
				answer.MoreWaiting++
				continue
			}
			answer.Waiting = append(answer.Waiting, awaitedAgency{a.Agency, a.Bets, a.LastSeen, answer.Now.Sub(a.LastSeen).Round(time.Millisecond).Seconds()})
		}
		missing := o.contest.Missing()
		answer.Missing = missing[:min(len(missing), maxAwaited)]
		answer.MoreMissing = len(missing) - len(answer.Missing)
	}
	answerWith(w, answer, nil)
}

// end ends the betting of agencies as --draw-without does.
func (c *control) end(w http.ResponseWriter, r *http.Request) {
	answer, err := c.endAgencies(w, r)
	if err != nil {
		c.logRefused(r, err)
	}
	answerWith(w, answer, err)
}

func (c *control) endAgencies(w http.ResponseWriter, r *http.Request) (*endAnswer, error) {
	o, err := c.now()
	if err != nil {
		return nil, err
	}
	var request endRequest
	if err := takeRequest(w, r, &request); err != nil {
		return nil, err
	}
	if len(request.Agencies) == 0 {
		return nil, refusal(http.StatusBadRequest, "no agency is named")
	}
	slices.Sort(request.Agencies)
	agencies := slices.Compact(request.Agencies)
	var before []lottery.Standing // before the first try, which may have ended some
	err = c.change(o, func() error {
		now := o.contest.Standings()
		if before == nil {
			before = now
		}
		// Those that have ended are left out, as the ledger may not be writable any
		// more. The contest refuses unknown ones.
		err := o.contest.DrawWithout(slices.DeleteFunc(slices.Clone(agencies), func(agency int) bool {
			return agency >= 1 && agency <= len(now) && now[agency-1].Ended != lottery.Open
		})...)
		o.missing.note()
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &endAnswer{Phase: c.awaitDraw(o.contest), Awaited: len(o.contest.Awaited())}
	var ended []int
	after := o.contest.Standings()
	for _, agency := range agencies {
		now, result := after[agency-1], endedNow
		switch {
		case now.Ended == lottery.Finished:
			result = hadFinished
		case before[agency-1].Ended == lottery.Missing:
			result = hadEnded
		default:
			ended = append(ended, agency)
		}
		answer.Agencies = append(answer.Agencies, endedAgency{agency, result, now.Bets})
	}
	c.logDone(r).Ints("agencies", agencies).Ints("ended", ended).Send()
	return answer, nil
}

// deadline sets the deadline as --draw-deadline does.
func (c *control) deadline(w http.ResponseWriter, r *http.Request) {
	answer, err := c.setDeadline(w, r)
	if err != nil {
		c.logRefused(r, err)
	}
	answerWith(w, answer, err)
}

func (c *control) setDeadline(w http.ResponseWriter, r *http.Request) (*deadlineAnswer, error) {
	o, err := c.now()
	if err != nil {
		return nil, err
	}
	var request deadlineRequest
	if err := takeRequest(w, r, &request); err != nil {
		return nil, err
	}
	deadline, err := parseTime(request.Deadline)
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "%.80q is not a time; allowed: %s", request.Deadline, timeExample)
	}
	answer := &deadlineAnswer{}
	tried := false // a failed attempt may have set it all the same
	err = c.change(o, func() error {
		before := o.contest.Deadline()
		switch {
		case tried && before.Equal(deadline):
		case o.contest.Phase() != lottery.Betting:
			return refusal(http.StatusConflict, "betting has ended, so a deadline is of no use any more")
		case !before.IsZero():
			before = before.Local()
			answer.Replaces = &before
		}
		tried = true
		return changeDeadline(o.contest, deadline, time.Now(), c.log)
	})
	if err != nil {
		return nil, err
	}
	answer.Deadline = o.contest.Deadline().Local()
	answer.Zone = zoneOf(answer.Deadline)
	if isDue(o.contest, time.Now()) { // then the watch ends the betting within a second
		select {
		case <-o.contest.Drawn():
		case <-c.stopping.Done():
		case <-time.After(c.patience):
		}
	}
	answer.Phase = o.contest.Phase()
	c.logDone(r).Str("deadline", answer.Deadline.Format(time.RFC3339)).Send()
	return answer, nil
}

// drainCentral stops the central as SIGTERM does, and reports the progress.
func (c *control) drainCentral(w http.ResponseWriter, r *http.Request) {
	if c.operated.Load() == nil {
		c.logRefused(r, errStarting)
		answerWith(w, nil, errStarting)
		return
	}
	c.logDone(r).Send()
	c.drain()
	controller, lines := http.NewResponseController(w), json.NewEncoder(w)
	w.Header().Set("Content-Type", "application/jsonl")
	tell := func(answer drainAnswer) bool {
		_ = controller.SetWriteDeadline(time.Now().Add(controlWrite))
		return lines.Encode(answer) == nil && controller.Flush() == nil
	}
	progress := time.NewTicker(time.Second)
	defer progress.Stop()
	for {
		state := c.shown.State()
		answer := drainAnswer{Connections: state.Connections, Waiting: state.WaitingBytes}
		select {
		case <-c.ended:
			answer.Ended = true
			if c.err != nil {
				answer.ExitCode, answer.Error = 1, c.err.Error()
			}
		default:
		}
		if !tell(answer) {
			return // the client has gone
		}
		if answer.Ended {
			break
		}
		select {
		case <-c.ended:
		case <-progress.C:
		case <-r.Context().Done():
			return
		}
	}
	// The connection ends with the process. A central that is process 1 of a container
	// would end its client, too, so it waits until that has gone.
	if answered, ok := r.Context().Value(answeredKey{}).(func()); ok && os.Getpid() != 1 {
		answered()
	}
	<-r.Context().Done()
}
