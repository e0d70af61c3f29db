package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
	server   string // programs
	client   string
	nats     string // program and configuration of the cluster's servers
	config   string
	screen   *screen
	bars     *bars // of the agencies, until there is a result
	signals  <-chan os.Signal
	events   chan event
	ticker   *time.Ticker
	cluster  *cluster // nil: the central has a folder
	centrals []*central
	agencies []*agency
	others   []*process // that end by themselves
	drawn    bool       // the screen has said that the draw was
	begun    time.Time  // when the first agency was started
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
	if opts.cluster != "" {
		if r.nats, err = program(opts.bin, "nats-server"); err != nil {
			return err
		}
		if r.config, err = filepath.Abs(opts.cluster); err != nil {
			return err
		}
	}
	if r.data, err = dataFolder(opts.data); err != nil {
		return err
	}
	if opts.tls != "" {
		folder, err := filepath.Abs(string(opts.tls))
		if err != nil {
			return err
		}
		r.opts.tls = credentials(folder)
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

// play goes through the lottery from the first start to the last end.
func (r *round) play() error {
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(r.opts.timeout)

	if r.opts.cluster != "" {
		if err := r.startServers(dir, deadline); err != nil {
			return err
		}
	}
	if err := r.startCentrals(dir, deadline); err != nil {
		return err
	}

	r.begun = time.Now()
	r.bars = openBars(r.screen, r.data, r.opts.agencies)
	for id := 1; id <= r.opts.agencies; id++ {
		a := newAgency(r.opts, r.client, r.data, r.addresses(id), id)
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
		deadline = time.Now().Add(r.opts.timeout)
	}
	if r.cluster != nil {
		if err := r.askAll(deadline); err != nil {
			return err
		}
	}
	if err := r.stopCentrals(); err != nil {
		return err
	}
	if r.cluster != nil {
		if err := r.export(dir, deadline); err != nil {
			return err
		}
		return r.stopOrderly(r.serverProcesses())
	}
	return nil
}

// startCentrals starts the central, or all of a cluster, and waits until it
// listens.
func (r *round) startCentrals(dir string, deadline time.Time) error {
	if r.cluster == nil {
		r.centrals = append(r.centrals, newCentral(r.opts, r.server, dir))
	} else {
		for number := 1; number <= clusterCentrals; number++ {
			r.centrals = append(r.centrals, newSharing(r.opts, r.server, r.cluster.ledger, number))
		}
	}
	for _, c := range r.centrals {
		if err := c.start(r.dir, r.events); err != nil {
			return err
		}
	}
	return r.await(deadline, listenLimit, "did not listen", func(p *process) bool {
		return slices.ContainsFunc(r.centrals, func(c *central) bool { return p == &c.process && c.address == "" })
	})
}

// addresses is where an agency finds the centrals: each begins with another.
func (r *round) addresses(id int) string {
	var all []string
	for i := range r.centrals {
		all = append(all, r.centrals[(id-1+i)%len(r.centrals)].address)
	}
	return strings.Join(all, ",")
}

// stopCentrals ends the centrals, each of which has to have drawn once.
func (r *round) stopCentrals() error {
	var all []*process
	for _, c := range r.centrals {
		all = append(all, &c.process)
	}
	if err := r.stopOrderly(all); err != nil {
		return err
	}
	for _, c := range r.centrals {
		if c.draws != 1 {
			r.fail(&c.process, fmt.Sprintf("logged %s (sorteo), expected one", plural(c.draws, "draw", "draws")))
		}
	}
	if len(r.failures) > 0 {
		return errFailed
	}
	return nil
}

// stopOrderly tells processes to stop, which they have to do well and soon.
func (r *round) stopOrderly(all []*process) error {
	for _, p := range all {
		p.stop()
	}
	// A process that was told to stop is not judged by its end.
	err := r.until(func() bool { return !slices.ContainsFunc(all, (*process).alive) }, time.Now().Add(r.opts.grace))
	if err != nil && !errors.Is(err, errLate) {
		return err
	}
	for _, p := range all {
		switch {
		case p.alive():
			r.fail(p, fmt.Sprintf("did not stop within %s of SIGTERM", r.opts.grace))
		case p.err != nil:
			r.fail(p, "was to stop, and "+p.how())
		}
	}
	if len(r.failures) > 0 {
		return errFailed
	}
	return nil
}

// stay shows the result and keeps the central up, until a signal says that it
// is enough.
func (r *round) stay() error {
	err := r.until(func() bool { return r.drawn }, time.Now().Add(r.opts.grace))
	if errors.Is(err, errLate) {
		r.fail(&r.centrals[0].process, "logged no draw (sorteo)")
		return errFailed
	}
	if err != nil {
		return err
	}
	r.closeBars()
	r.ticker.Stop()
	r.showTable()
	for _, c := range r.centrals {
		where := "listening on " + c.address
		if c.page != "" {
			where += ", its page is " + c.page
		}
		r.screen.say("run", fmt.Sprintf("the %s stays up, %s, until Ctrl-C", c.who, where))
	}
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
	rec, ok := p.record(ev.line)
	if !ok {
		return
	}
	switch {
	case rec.result != "fail":
	case slices.Contains(p.passing, rec.action):
		r.screen.say(p.who, message(ev.line))
	default:
		if p.fails++; p.fails <= maxFailLines {
			r.screen.alarm(p.who, message(ev.line))
		}
	}
	if p.read == nil {
		return
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
	if !slices.ContainsFunc(r.centrals, func(c *central) bool { return c.draws > 0 }) || r.anyAgency(func(a *agency) bool { return !a.complete }) {
		return
	}
	if !r.drawn {
		r.screen.say("central", "every agency has finished, the draw is done")
		r.drawn = true
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
	if wrong := p.judge(); wrong != "" {
		r.fail(p, wrong)
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
		r.gather(r.left, settleTime)
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
	// The NATS servers last: a central that stops has something to store.
	for _, servers := range []bool{false, true} {
		some := func() []*process {
			return slices.DeleteFunc(r.left(), func(p *process) bool { return slices.Contains(r.serverProcesses(), p) != servers })
		}
		for range 2 { // SIGTERM, then SIGKILL
			for _, p := range some() {
				p.stop()
			}
			if r.gather(some, r.opts.grace); len(some()) == 0 {
				break
			}
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

// gather takes in events until none of some processes is left, at most for a
// time, or until a signal says that it takes too long. A hang-up does not: a terminal
// that closes may send several.
func (r *round) gather(left func() []*process, limit time.Duration) {
	late := time.NewTimer(limit)
	defer late.Stop()
	for len(left()) > 0 {
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

// processes is all of them, in the order in which one's end explains
// another's.
func (r *round) processes() []*process {
	all := r.serverProcesses()
	for _, c := range r.centrals {
		all = append(all, &c.process)
	}
	for _, a := range r.agencies {
		all = append(all, &a.process)
	}
	return append(all, r.others...)
}

// serverProcesses are those of the NATS servers.
func (r *round) serverProcesses() (all []*process) {
	if r.cluster != nil {
		for _, s := range r.cluster.servers {
			all = append(all, &s.process)
		}
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
