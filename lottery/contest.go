package lottery

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Phase is where a contest stands.
type Phase string

// The phases follow each other in this order, and none is ever left backwards.
const (
	Betting Phase = "betting" // some expected agency is still to finish
	Drawing Phase = "drawing" // none is, and the result is being made durable
	Drawn   Phase = "drawn"   // the winners are known to whoever asks
)

// drawRetry is how long a draw that could not be made durable waits for the
// next try.
const drawRetry = time.Second

// Contest is one lottery: the expected agencies 1 to n, their bets and the
// draw. It has the rules; what it knows is durable in its [Ledger]. The methods
// may be called from any goroutine, and none waits for a disk except
// DrawWithout and Close.
//
// A bet is admitted (its place in the ledger is fixed, and whatever asks later
// sees it) before it is durable. Whoever tells the outside of it waits for done.
type Contest struct {
	ledger    Ledger
	accounts  []account    // of agency i+1
	betting   atomic.Int32 // agencies whose betting has not ended
	drawn     chan struct{}
	drawnLate bool // the draw was made while the contest was opened
	wasDrawn  bool // the draw had been made when the contest was opened
	shared    bool // other centrals may write, too
	used      bool // somebody had bet, or ended its betting, when the contest was opened

	// admissions are kept for the next ones, so that in steady state none is made.
	admissions sync.Pool
}

// account is what a contest knows of one agency.
type account struct {
	mu       sync.Mutex
	stored   Account   // with what is admitted and not durable yet
	writer   Writer    // the last one, or 0 when the agency never had any
	ending   bool      // its end is on its way to the ledger: no bets are taken
	ends     int       // that are on their way to the ledger
	unsure   bool      // an end was not available, and no claim has told since what has become of it
	lost     error     // why the ledger may not have kept all that was admitted, until a claim tells
	claims   int       // that are on their way to the ledger
	lastSeen time.Time // when the agency last asked for something, or bet at another central

	inFlight atomic.Int64 // bets that are admitted, and of which the ledger has not told yet

	asked   uint64     // requests that might have to wait, so far
	waiting []*request // for a claim that tells what is stored, in the order in which they were asked for

	seen   uint64 // bets that are stored, as a shared ledger tells now and then
	seenBy string // the central that stored the last of them
}

// Writer is who may write for an agency: whoever has resumed it last. Resume
// gives each its own. 0 is whoever has not resumed, and may write as long as
// nobody has.
type Writer uint64

// NewContest returns the contest that the ledger holds. The draw is made when
// a crash came between the last ending and it. The ledger is the contest's
// from then on, also when there is an error: then it is closed.
func NewContest(ledger Ledger) (*Contest, error) {
	c := &Contest{ledger: ledger, drawn: make(chan struct{})}
	c.admissions.New = func() any {
		a := &admission{pool: &c.admissions}
		a.complete = a.end
		return a
	}
	ready := make(chan struct{}) // events that come while this goes on wait for it
	stored, err := ledger.Begin(Events{
		Ended: func(agency int, how Ending, stored *Account) {
			<-ready
			c.ended(agency, how, stored)
		},
		Seen: func(agency int, bets uint64, central string) {
			<-ready
			c.accounts[agency-1].see(bets, central)
		},
	})
	if err != nil {
		return nil, errors.Join(err, ledger.Close())
	}
	c.shared, c.used, c.wasDrawn = stored.Shared, stored.Used, stored.Drawn
	now := time.Now()
	c.accounts = make([]account, len(stored.Accounts))
	for i := range c.accounts {
		a := &c.accounts[i]
		a.stored, a.lastSeen = stored.Accounts[i], now
		if a.stored.Ended == Open {
			c.betting.Add(1)
		}
	}
	phase := c.Phase()
	close(ready)
	switch {
	case c.shared && (stored.Drawn || phase == Drawing):
		// The winners are still to be told, and the ledger may not be available: that
		// keeps no central from being there.
		c.drawnLate = !stored.Drawn
		c.draw()
	case stored.Drawn:
		close(c.drawn)
	case phase == Drawing:
		c.drawnLate = true
		err := wait(func(done func(error)) {
			c.ledger.Draw(func(winners [][]string, err error) { done(err) })
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make the draw: %w", err), ledger.Close())
		}
		close(c.drawn)
	}
	return c, nil
}

// wait calls what tells of its end by a callback, and waits for it.
func wait(f func(done func(error))) error {
	ended := make(chan error, 1)
	f(func(err error) { ended <- err })
	return <-ended
}

// DrawnLate reports whether NewContest itself has made the draw: nobody has
// announced it yet.
func (c *Contest) DrawnLate() bool { return c.drawnLate }

// WasDrawn reports whether the draw had been made before the contest was opened.
// With a shared ledger the winners may still have to be told then.
func (c *Contest) WasDrawn() bool { return c.wasDrawn }

// Store admits a batch that a writer sends: whole, or not at all. With a
// position, bets that the contest already has are left out; that is only taken
// from who has resumed, and so knows what these are. done is called when all of
// the batch is durable, or with the reason why it never will be.
//
// The error, which is all that happens then, is a *Refusal with code
// EmptyBatch, UnknownAgency, AgencyFinished, DrawDone, Gap, Fenced or Storage,
// or it is ErrUnavailable. The one that done gets is Fenced, Storage or
// ErrUnavailable.
func (c *Contest) Store(batch *Batch, from Writer, done func(error)) error {
	if batch.Len() == 0 {
		return refuse(EmptyBatch, "the batch has no bets")
	}
	a, err := c.account(batch.agency)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastSeen = time.Now()
	if err := a.admits(batch.agency, from, batch.positionKnown); err != nil {
		return err
	}
	if a.stored.Unknown || len(a.waiting) > 0 {
		return c.storeLater(batch, a, from, done)
	}
	isGap := batch.positionKnown && batch.position > a.stored.Bets
	known := 0 // how many bets of the batch are stored already
	if batch.positionKnown && !isGap {
		known = int(min(a.stored.Bets-batch.position, uint64(batch.Len())))
	}
	switch {
	case known < batch.Len() && (a.ending || a.stored.Ended != Open):
		return c.tooLate(batch.agency, a.stored.Ended)
	case a.lost != nil:
		return c.refuseLost(batch.agency, a)
	case isGap:
		return refuse(Gap, "the batch begins after %d bets, stored are %d", batch.position, a.stored.Bets)
	}
	batch.known = known
	rows := batch.from(known)
	if c.shared && from == 0 {
		return c.appendAnywhere(a, rows.clone(), done)
	}
	return c.append(a, rows, done)
}

// append has the ledger store rows that are to follow all others. The caller
// holds the lock.
func (c *Contest) append(a *account, rows Stretch, done func(error)) error {
	admitted := c.admissions.Get().(*admission)
	admitted.account, admitted.bets, admitted.done = a, int64(rows.Bets), done
	a.inFlight.Add(admitted.bets)
	mark, err := c.ledger.Append(rows, a.stored.Mark, admitted.complete)
	if err != nil {
		a.inFlight.Add(-int64(rows.Bets))
		return failure(a.lose(err))
	}
	a.stored.Add(&rows)
	a.stored.Mark = mark
	return nil
}

// admits returns nil when the writer may write for the agency. The caller holds
// the lock.
func (a *account) admits(agency int, from Writer, positionKnown bool) error {
	switch {
	case from != a.writer:
		return refuse(Fenced, "agency %d has resumed on another connection: say RESUME to go on", agency)
	case from == 0 && positionKnown:
		return refuse(Fenced, "agency %d has not said RESUME: without that, no position is taken", agency)
	case from == 0 && a.stored.Resumed && a.stored.Ended == Open:
		return refuse(Fenced, "agency %d has resumed at another central: say RESUME to go on", agency)
	}
	return nil
}

// admission is a batch on its way to the ledger.
type admission struct {
	pool     *sync.Pool
	account  *account
	bets     int64
	done     func(error)
	complete func(error) // its own method end
}

func (a *admission) end(err error) {
	account, bets, done := a.account, a.bets, a.done
	a.account, a.done = nil, nil
	a.pool.Put(a)
	if err != nil {
		account.mu.Lock()
		err = account.lose(err)
		account.mu.Unlock()
	}
	account.inFlight.Add(-bets) // after that, or they would look durable
	done(failure(err))
}

// lose notes that the ledger has not kept what was admitted, and returns why:
// whatever follows is answered the same. The caller holds the lock.
func (a *account) lose(err error) error {
	a.lost = cmp.Or(a.lost, err)
	return a.lost
}

// refuseLost returns the refusal of what comes after something was lost. An
// agency that never says RESUME can go on when the ledger is available again.
// The caller holds the lock.
func (c *Contest) refuseLost(agency int, a *account) error {
	if errors.Is(a.lost, ErrUnavailable) && a.claims == 0 {
		c.claim(agency, a, false, func(*Account, error) {})
	}
	return failure(a.lost)
}

// failure gives a failure of the ledger the protocol's code.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, ErrMoved):
		return &Refusal{Code: Fenced, Reason: err.Error()}
	}
	return &Refusal{Code: Storage, Reason: err.Error()}
}

// Resume makes the caller the agency's only writer: nothing is admitted from any
// other from now on. done is told how many bets of the agency are durable, all
// that were admitted before among them, and the digest of their rows: XXH64
// with seed 0, in order. The error, of either, is a *Refusal with code
// UnknownAgency or Storage, or ErrUnavailable.
func (c *Contest) Resume(agency int, done func(bets, digest uint64, err error)) (Writer, error) {
	a, err := c.account(agency)
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastSeen = time.Now()
	a.writer++
	bets, digest := a.stored.Bets, a.stored.Digest.Sum64()
	c.claim(agency, a, true, func(stored *Account, err error) {
		if stored != nil {
			bets, digest = stored.Bets, stored.Digest.Sum64()
		}
		done(bets, digest, failure(err))
	})
	return a.writer, nil
}

// claim makes the contest the agency's writer, and its account what is stored.
// What waits for that goes on. The caller holds the lock.
func (c *Contest) claim(agency int, a *account, resumed bool, done func(stored *Account, err error)) {
	mark := a.stored.Mark
	a.claims++
	c.ledger.Claim(agency, mark, resumed, func(stored *Account, err error) {
		a.mu.Lock()
		a.claims--
		switch {
		case err != nil:
		case stored != nil && (a.stored.Ended == Open || a.stored.Unknown):
			a.replace(stored)
		case stored == nil && a.stored.Mark == mark: // nothing was admitted since
			a.lost, a.stored.Unknown = nil, false
			if a.unsure { // it was not ended
				a.ending = a.ends > 0
			}
			a.unsure = false
		}
		failed := c.proceed(agency, a, err)
		a.mu.Unlock()
		for _, tell := range failed {
			tell()
		}
		done(stored, err)
	})
}

// replace puts what the ledger has in place of what was believed. How the
// betting has ended is told by ended alone. The caller holds the lock.
func (a *account) replace(stored *Account) {
	how := a.stored.Ended
	a.ending, a.unsure, a.lost = stored.Ended != Open, false, nil
	a.stored = *stored
	a.stored.Ended = how
}

// see takes in how many bets of the agency are stored, by whatever central.
func (a *account) see(bets uint64, central string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if bets > a.bets() {
		a.lastSeen = time.Now()
	}
	a.seen, a.seenBy = bets, central
}

// Tally is what an agency says that it has bet, as far as it says so.
type Tally struct {
	Bets, Digest       uint64 // XXH64 with seed 0 of the rows, in order
	HasBets, HasDigest bool
}

// Finish closes the agency's betting, as a writer asks, and tells when that is
// durable; said again it does nothing. It first checks that what is stored is
// what the agency says. When the last agency has finished, the draw follows. The
// error, its own or that done gets, is a *Refusal with code UnknownAgency,
// Incomplete, OtherBets, Fenced or Storage, or, when the agency's betting was
// ended without it, AgencyFinished or, after the draw, DrawDone; or it is
// ErrUnavailable.
func (c *Contest) Finish(agency int, from Writer, said Tally, done func(error)) error {
	a, err := c.account(agency)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastSeen = time.Now()
	a.asked++
	r := &request{number: a.asked, done: done}
	r.do = func() error { return c.tryFinish(agency, a, from, said, r) }
	return r.do()
}

// tryFinish does a request to finish. The caller holds the lock.
func (c *Contest) tryFinish(agency int, a *account, from Writer, said Tally, r *request) error {
	if err := a.admits(agency, from, false); err != nil {
		return err
	}
	if a.stored.Unknown || a.unsure || len(a.waiting) > 0 {
		c.await(agency, a, r)
		return nil
	}
	if a.lost != nil && !a.ending && a.stored.Ended == Open {
		return c.refuseLost(agency, a)
	}
	if a.stored.Ended != Missing {
		err := a.compare(agency, said)
		if err != nil && c.shared && from == 0 && r.claims == 0 {
			a.stored.Unknown = true // it may have gone on at another central
			c.await(agency, a, r)
			return nil
		}
		if err != nil {
			return err
		}
	}
	c.end(agency, a, Finished, func(err error) { // under the same lock as the check: no bet comes between
		a.mu.Lock()
		how := a.stored.Ended
		if errors.Is(err, ErrMoved) {
			if c.shared && c.again(agency, a, r, err) {
				a.mu.Unlock()
				return
			}
			err = a.lose(err)
		}
		a.mu.Unlock()
		if err == nil && how == Missing {
			r.done(c.tooLate(agency, Missing))
			return
		}
		r.done(failure(err))
	})
	return nil
}

// compare returns the refusal of what an agency says that it has bet, or nil when
// that is stored. The caller holds the lock.
func (a *account) compare(agency int, said Tally) error {
	switch stored := &a.stored; {
	case said.HasBets && said.Bets != stored.Bets:
		return refuse(Incomplete, "agency %d finishes with %d bets, stored are %d", agency, said.Bets, stored.Bets)
	case said.HasDigest && said.Digest != stored.Digest.Sum64():
		return refuse(OtherBets, "agency %d finishes with %d bets of digest %016x, those stored have %016x",
			agency, said.Bets, said.Digest, stored.Digest.Sum64())
	}
	return nil
}

// end has the ledger end the agency's betting. An end that is not refused may
// still come; whether it has, or was never tried, a shared ledger tells with a
// claim. The caller holds the lock.
func (c *Contest) end(agency int, a *account, how Ending, done func(error)) {
	a.ending = true
	a.ends++
	c.ledger.End(agency, a.stored.Mark, how, func(err error) {
		a.mu.Lock()
		a.ends--
		a.ending = a.ending && !errors.Is(err, ErrMoved)
		a.unsure = a.unsure || c.shared && errors.Is(err, ErrUnavailable)
		a.mu.Unlock()
		done(err)
	})
}

// tooLate returns the refusal of what comes after an agency's betting has
// ended.
func (c *Contest) tooLate(agency int, how Ending) error {
	code, when := AgencyFinished, "has finished"
	if c.Phase() == Drawn {
		code, when = DrawDone, "is too late: the draw is done, and a new lottery is another contest"
	}
	if how == Missing {
		when = "is too late: it was missing when its betting was ended"
	}
	return refuse(code, "agency %d %s", agency, when)
}

// DrawWithout ends the betting of agencies that have not finished, and returns
// when that is durable: the draw is made from what is stored of theirs, and they
// are noted as missing. Those that have finished stay as they are. The error is
// a *Refusal with code UnknownAgency, Fenced or Storage, or ErrUnavailable.
func (c *Contest) DrawWithout(agencies ...int) error {
	for _, agency := range agencies {
		if _, err := c.account(agency); err != nil {
			return err
		}
	}
	ended := make(chan error, len(agencies))
	for _, agency := range agencies {
		go func() { ended <- c.endWithout(agency) }()
	}
	var err error
	for range agencies {
		err = cmp.Or(err, <-ended)
	}
	return err
}

func (c *Contest) endWithout(agency int) error {
	a := &c.accounts[agency-1]
	for range maxClaims {
		err := wait(func(done func(error)) {
			a.mu.Lock()
			defer a.mu.Unlock()
			c.end(agency, a, Missing, done)
		})
		if !errors.Is(err, ErrMoved) && !(c.shared && errors.Is(err, ErrUnavailable)) {
			return failure(err)
		}
		// An agency that never comes claims nothing, and without a claim the ledger
		// may stay as it is.
		err = wait(func(done func(error)) {
			a.mu.Lock()
			defer a.mu.Unlock()
			c.claim(agency, a, false, func(_ *Account, err error) { done(err) })
		})
		if err != nil {
			return failure(err)
		}
	}
	return failure(ErrMoved)
}

// ended takes in that an agency's betting has ended, wherever that was said.
// The last one brings the draw.
func (c *Contest) ended(agency int, how Ending, stored *Account) {
	a := &c.accounts[agency-1]
	a.mu.Lock()
	news := a.stored.Ended == Open
	if news {
		if stored != nil {
			a.replace(stored)
		}
		a.stored.Ended = how
	}
	a.mu.Unlock()
	if news && c.betting.Add(-1) == 0 {
		c.draw()
	}
}

// draw makes the draw durable, and then known. All accounts are closed and
// durable, so their winners are final.
func (c *Contest) draw() {
	c.ledger.Draw(func(winners [][]string, err error) {
		switch {
		case err == nil:
			c.know(winners)
			close(c.drawn)
		case errors.Is(err, ErrUnavailable):
			time.AfterFunc(drawRetry, c.draw) // a closed ledger ends that
		}
	})
}

// know takes in the winners of each agency, unless the accounts have them.
func (c *Contest) know(winners [][]string) {
	for i := range winners {
		a := &c.accounts[i]
		a.mu.Lock()
		a.stored.Winners = winners[i]
		a.mu.Unlock()
	}
}

// Winners returns the documents of the agency's winning bets, in the order of
// the bets, and whether the draw is done: before it there are none to tell.
// The slice is not to be changed. The error is a *Refusal with code
// UnknownAgency.
func (c *Contest) Winners(agency int) (documents []string, drawn bool, err error) {
	a, err := c.account(agency)
	if err != nil || c.Phase() != Drawn {
		return nil, false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stored.Winners, true, nil
}

// Drawn is closed when the draw is done.
func (c *Contest) Drawn() <-chan struct{} { return c.drawn }

// Phase returns where the contest stands.
func (c *Contest) Phase() Phase {
	select {
	case <-c.drawn:
		return Drawn
	default:
	}
	if c.betting.Load() == 0 {
		return Drawing
	}
	return Betting
}

// Agencies returns how many agencies are expected.
func (c *Contest) Agencies() int { return len(c.accounts) }

// Standing is how far an agency is.
type Standing struct {
	Agency   int
	Bets     uint64    // admitted so far, or stored by others as far as that is known
	LastSeen time.Time // when it last asked for something here, bets of it from elsewhere were seen, or the contest was opened
	Ended    Ending    // how its betting has
	Winners  int       // of its bets; 0 until the draw is done
	Central  string    // of a shared ledger: the name of the central that stored the last bets, or empty
}

// Standings returns how far every agency is, ascending.
func (c *Contest) Standings() []Standing {
	drawn := c.Phase() == Drawn
	standings := make([]Standing, len(c.accounts))
	for i := range c.accounts {
		a := &c.accounts[i]
		a.mu.Lock()
		standings[i] = Standing{Agency: i + 1, Bets: a.bets(), LastSeen: a.lastSeen, Ended: a.stored.Ended, Central: a.seenBy}
		if drawn {
			standings[i].Winners = len(a.stored.Winners)
		}
		a.mu.Unlock()
	}
	return standings
}

// bets returns how many bets of the agency there are, as far as that is known.
// The caller holds the lock.
func (a *account) bets() uint64 {
	if a.stored.Unknown || a.lost != nil {
		return a.seen
	}
	return max(a.stored.Bets, a.seen)
}

// Shared reports whether other centrals may write, too.
func (c *Contest) Shared() bool { return c.shared }

// Durable returns how many bets of each agency are durable, ascending by agency.
// Agencies of which that is not known are left out: a shared ledger may not have
// told of them yet. A number may be too low for a moment, and never is too high.
func (c *Contest) Durable() iter.Seq2[int, uint64] {
	return func(yield func(agency int, bets uint64) bool) {
		for i := range c.accounts {
			if bets, isKnown := c.accounts[i].durable(); isKnown && !yield(i+1, bets) {
				return
			}
		}
	}
}

// durable returns how many bets of the agency are durable, and whether that is
// known.
func (a *account) durable() (bets uint64, isKnown bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stored.Unknown || a.lost != nil {
		return a.seen, a.seen > 0
	}
	inFlight := uint64(max(0, a.inFlight.Load()))
	return max(a.stored.Bets-min(a.stored.Bets, inFlight), a.seen), true
}

// Awaited returns the agencies whose betting has not ended, ascending.
func (c *Contest) Awaited() []Standing {
	return slices.DeleteFunc(c.Standings(), func(s Standing) bool { return s.Ended != Open })
}

// Missing returns the agencies that the draw is made without, ascending.
func (c *Contest) Missing() []int {
	missing := []int{}
	for _, s := range c.Standings() {
		if s.Ended == Missing {
			missing = append(missing, s.Agency)
		}
	}
	return missing
}

// Failed is closed when the ledger is dead; Err says why, or nil.
func (c *Contest) Failed() <-chan struct{} { return c.ledger.Failed() }

// Err returns why the ledger is dead, or nil.
func (c *Contest) Err() error { return c.ledger.Err() }

// Close makes durable what was admitted and closes the ledger.
func (c *Contest) Close() error { return c.ledger.Close() }

func (c *Contest) account(agency int) (*account, error) {
	if agency < 1 || agency > len(c.accounts) {
		return nil, refuse(UnknownAgency, "the agency is %d, expected are 1 to %d", agency, len(c.accounts))
	}
	return &c.accounts[agency-1], nil
}
