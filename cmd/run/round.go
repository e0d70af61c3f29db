package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// How long is waited for what.
const (
	listenLimit  = 30 * time.Second       // for the central to listen
	defaultGrace = 10 * time.Second       // between SIGTERM and SIGKILL
	settleTime   = 250 * time.Millisecond // after a failure, for others that explain it
	refresh      = 100 * time.Millisecond // of what is shown of the progress
	stayLimit    = 365 * 24 * time.Hour   // for somebody to end a run that stays
)

// maxFailLines is how many lines that say "result: fail" are shown of each
// process.
const maxFailLines = 5

var (
	errLate   = errors.New("too late")
	errFailed = errors.New("a process failed")
)

// interruption is the error of a run that a signal ended.
type interruption struct{ signal syscall.Signal }

func (i interruption) Error() string { return "stopped by a signal: " + i.signal.String() }

// failure is something that a process should not have done.
type failure struct {
	from *process
	what string
}

// round is one run of the lottery. Everything in it belongs to the goroutine
// that plays it.
type round struct {
	opts     options
	dir      string // of this run
	data     string
	server   string
	client   string
	screen   *screen
	bars     *bars // of the agencies, until there is a result
	signals  <-chan os.Signal
	events   chan event
	ticker   *time.Ticker
	central  *central
	agencies []*agency
	begun    time.Time // when the first agency was started
	failures []failure
}

// play runs the lottery once. The error is an interruption, or says in one line
// what failed; the screen has seen the details.
func play(opts options, screen *screen, signals <-chan os.Signal) error {
	// The processes live as long as the thread that started them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	r := &round{opts: opts, screen: screen, signals: signals, events: make(chan event)}
	var err error
	if r.server, err = program(opts.bin, "server"); err != nil {
		return err
	}
	if r.client, err = program(opts.bin, "client"); err != nil {
		return err
	}
	if r.data, err = dataFolder(opts.data); err != nil {
		return err
	}
	if r.dir, err = newFolder(time.Now()); err != nil {
		return err
	}
	r.ticker = time.NewTicker(refresh)
	defer r.ticker.Stop()
	screen.say("run", fmt.Sprintf("%s, data from %s, everything is kept in %s",
		plural(opts.agencies, "agency", "agencies"), opts.data, r.dir))

	err = r.play()
	if err != nil {
		r.stopAll(err)
	}
	r.closeBars()
	if err != nil {
		return r.explain(err)
	}
	if !opts.stay {
		r.showTable()
	}
	return r.check()
}

// play goes through the lottery from the central's start to its end.
func (r *round) play() error {
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(r.opts.timeout)

	r.central = newCentral(r.opts, r.server, dir)
	if err := r.central.start(r.dir, r.events); err != nil {
		return err
	}
	err = r.until(func() bool { return r.central.address != "" }, earlier(deadline, time.Now().Add(listenLimit)))
	if errors.Is(err, errLate) {
		r.fail(&r.central.process, fmt.Sprintf("did not listen within %s", min(r.opts.timeout, listenLimit)))
		return errFailed
	}
	if err != nil {
		return err
	}

	r.begun = time.Now()
	r.bars = openBars(r.screen, r.data, r.opts.agencies)
	for id := 1; id <= r.opts.agencies; id++ {
		a := newAgency(r.opts, r.client, r.data, r.central.address, id)
		if err := a.start(r.dir, r.events); err != nil {
			return err
		}
		r.agencies = append(r.agencies, a)
		r.bars.update(r.agencies)
		r.screen.say(a.who, "started")
	}
	err = r.until(func() bool { return !r.anyAgency(func(a *agency) bool { return a.alive() }) }, deadline)
	if errors.Is(err, errLate) {
		for _, a := range r.agencies {
			if a.alive() {
				r.fail(&a.process, fmt.Sprintf("was not done after %s", r.opts.timeout))
			}
		}
		return errFailed
	}
	if err != nil {
		return err
	}

	if r.opts.stay {
		if err := r.stay(); err != nil {
			return err
		}
	}
	r.central.stop()
	err = r.until(func() bool { return r.central.exited }, time.Now().Add(r.opts.grace))
	if errors.Is(err, errLate) {
		r.fail(&r.central.process, fmt.Sprintf("did not stop within %s of SIGTERM", r.opts.grace))
		return errFailed
	}
	switch {
	case err != nil:
		return err
	case r.central.err != nil:
		r.fail(&r.central.process, "was to stop, and "+r.central.how())
		return errFailed
	case r.central.draws != 1:
		r.fail(&r.central.process, fmt.Sprintf("logged %s (sorteo), expected one", plural(r.central.draws, "draw", "draws")))
		return errFailed
	}
	return nil
}

// stay shows the result and keeps the central up, until a signal says that it
// is enough.
func (r *round) stay() error {
	err := r.until(func() bool { return r.central.announced }, time.Now().Add(r.opts.grace))
	if errors.Is(err, errLate) {
		r.fail(&r.central.process, "logged no draw (sorteo)")
		return errFailed
	}
	if err != nil {
		return err
	}
	r.closeBars()
	r.ticker.Stop()
	r.showTable()
	where := "listening on " + r.central.address
	if r.central.page != "" {
		where += ", its page is " + r.central.page
	}
	r.screen.say("run", "the central stays up, "+where+", until Ctrl-C")
	err = r.until(func() bool { return false }, time.Now().Add(stayLimit))
	var by interruption
	if errors.Is(err, errLate) || errors.As(err, &by) && by.signal != syscall.SIGHUP {
		return nil
	}
	return err
}

// closeBars leaves the bars on the screen as they are. They come back no more.
func (r *round) closeBars() {
	r.bars.close()
	r.bars = nil
}

// until takes in events until something is so. The error is errLate, errFailed
// or an interruption.
func (r *round) until(so func() bool, limit time.Time) error {
	late := time.NewTimer(time.Until(limit))
	defer late.Stop()
	for !so() {
		select {
		case ev := <-r.events:
			r.take(ev)
			if len(r.failures) > 0 {
				return errFailed
			}
		case sig := <-r.signals:
			return interruption{sig.(syscall.Signal)}
		case <-late.C:
			return errLate
		case now := <-r.ticker.C:
			r.showProgress(now)
		}
	}
	return nil
}

// take takes in an event.
func (r *round) take(ev event) {
	p := ev.from
	if ev.end {
		p.ended(ev.err)
		r.judgeEnd(p)
		return
	}
	p.remember(ev.line)
	rec, ok := parseRecord(ev.line)
	if !ok {
		return
	}
	if rec.result == "fail" {
		if p.fails++; p.fails <= maxFailLines {
			r.screen.alarm(p.who, message(ev.line))
		}
	}
	news, err := p.read(rec, ev)
	if err != nil {
		r.fail(p, err.Error())
	}
	r.bars.update(r.agencies)
	if news != "" {
		r.screen.say(p.who, news)
	}
	r.announceDraw()
}

// announceDraw says that the draw has been, and then how many winners each
// agency has. All lines come through pipes of their own: an agency's may be
// heard after the central's although it was written before, or the other way
// round. On the screen they stand in the order in which they must have been.
func (r *round) announceDraw() {
	if r.central.draws == 0 || r.anyAgency(func(a *agency) bool { return !a.complete }) {
		return
	}
	if !r.central.announced {
		r.screen.say(r.central.who, "every agency has finished, the draw is done")
		r.central.announced = true
	}
	for _, a := range r.agencies {
		if !a.announced && !a.answeredAt.IsZero() {
			r.screen.say(a.who, plural(a.winners, "winner", "winners"))
			a.announced = true
		}
	}
}

// judgeEnd finds out whether a process was right to end.
func (r *round) judgeEnd(p *process) {
	if p.stopped {
		return // who stopped it judges
	}
	if p == &r.central.process {
		r.fail(p, p.how()+" before it was to stop")
		return
	}
	for _, a := range r.agencies {
		if p != &a.process {
			continue
		}
		if missing := a.missing(); p.err != nil {
			r.fail(p, p.how())
		} else if missing != "" {
			r.fail(p, p.how()+" and logged no "+missing)
		}
	}
}

func (r *round) fail(p *process, what string) {
	r.failures = append(r.failures, failure{p, what})
	r.screen.alarm(p.who, what)
}

// stopAll ends every process that is left, first asking and then not, because
// of what went wrong. It returns when there is none.
func (r *round) stopAll(reason error) {
	if errors.Is(reason, errFailed) {
		// When the central dies its agencies fail too, and may be heard first.
		r.gather(settleTime)
	}
	left := r.left()
	if len(left) == 0 {
		return
	}
	names := make([]string, len(left))
	for i, p := range left {
		names[i] = p.who
	}
	r.screen.say("run", "stopping "+strings.Join(names, ", "))
	for range 2 { // SIGTERM, then SIGKILL
		for _, p := range left {
			p.stop()
		}
		if r.gather(r.opts.grace); len(r.left()) == 0 {
			break
		}
	}
	for _, p := range left {
		switch {
		case !p.exited:
			r.screen.alarm(p.who, fmt.Sprintf("is still there: process %d", p.cmd.Process.Pid))
		case p.killed:
			r.screen.alarm(p.who, "did not stop and was killed")
		case p.err != nil:
			r.screen.alarm(p.who, "was told to stop and "+p.how())
		}
	}
}

// gather takes in events until no process is left, at most for a time, or
// until a signal says that it takes too long. A hang-up does not: a terminal
// that closes may send several.
func (r *round) gather(limit time.Duration) {
	late := time.NewTimer(limit)
	defer late.Stop()
	for len(r.left()) > 0 {
		select {
		case ev := <-r.events:
			r.take(ev)
		case sig := <-r.signals:
			if sig != syscall.SIGHUP {
				return
			}
		case <-late.C:
			return
		}
	}
}

// left is every process that is alive.
func (r *round) left() []*process {
	var left []*process
	for _, p := range r.processes() {
		if p.alive() {
			left = append(left, p)
		}
	}
	return left
}

// processes is all of them, the central first.
func (r *round) processes() []*process {
	var all []*process
	if r.central != nil {
		all = append(all, &r.central.process)
	}
	for _, a := range r.agencies {
		all = append(all, &a.process)
	}
	return all
}

func (r *round) anyAgency(so func(*agency) bool) bool {
	for _, a := range r.agencies {
		if so(a) {
			return true
		}
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
