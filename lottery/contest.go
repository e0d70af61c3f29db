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

// The phases, in their order; a contest never goes back.
const (
	Betting Phase = "betting" // some expected agency is still to finish
	Drawing Phase = "drawing" // none is, and the result is being made durable
	Drawn   Phase = "drawn"   // the winners can be asked for
)

// drawRetry is how long a draw that could not be made durable waits for the
// next try.
const drawRetry = time.Second

// Contest is one lottery: the expected agencies 1 to n, their bets and the draw. It
// has the rules; what it knows is durable in its [Ledger]. The methods may be
// called from any goroutine; only SetDeadline, DrawWithout and Close wait for a
// disk.
//
// A bet is admitted (its place in the ledger is fixed, and later calls see it)
// before it is durable. A caller must wait for done before it acknowledges the bet.
type Contest struct {
	ledger   Ledger
	accounts []account    // of agency i+1
	betting  atomic.Int32 // agencies whose betting has not ended
	drawn    chan struct{}
	wasDrawn bool // the draw had been made when the contest was opened
	shared   bool // other centrals may write, too
	used     bool // somebody had bet, or ended its betting, when the contest was opened

	// admissions are reused, so that in steady state none is allocated.
	admissions sync.Pool
}

// account is what a contest knows of one agency.
type account struct {
	mu       sync.Mutex
	stored   Account   // with what is admitted and not durable yet
	writer   Writer    // the last one, or 0 when the agency never had any
	ending   bool      // its end is on its way to the ledger: no bets are taken
	ends     int       // that are on their way to the ledger
	unsure   bool      // an end got ErrUnavailable, and no claim has told its outcome since
	lost     error     // why the ledger may not have kept all that was admitted, until a claim tells
	claims   int       // that are on their way to the ledger
	lastSeen time.Time // when the agency last asked for something, or bet at another central

	inFlight atomic.Int64 // bets that are admitted and that the ledger has not answered yet

	asked     uint64     // requests that might have to wait, so far
	waiting   []*request // for a claim that tells what is stored, in the order of the calls
	fruitless int        // claims made for refused requests since one was stored

	seen   uint64 // bets that are stored, as a shared ledger tells now and then
	seenBy string // the central that stored the last of them
}

// Writer says who may write for an agency: the one that has resumed it last. Each
// Resume returns a new one. 0 stands for all that have not resumed; they may write
// until somebody resumes.
type Writer uint64

// NewContest returns the contest that the ledger holds. It makes the draw if a
// crash came between the last ending and the draw. The contest owns the ledger from
// then on; on an error it closes it.
func NewContest(ledger Ledger) (*Contest, error) {
	c := &Contest{ledger: ledger, drawn: make(chan struct{})}
	c.admissions.New = func() any {
		a := &admission{pool: &c.admissions}
		a.complete = a.end
		return a
	}
	ready := make(chan struct{}) // events that come during NewContest wait for it
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
		// The ledger must still tell the winners, and may not be available: that
		// must not keep a central from starting.
		c.draw()
	case stored.Drawn:
		close(c.drawn)
	case phase == Drawing:
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

// wait calls f and waits for its callback.
func wait(f func(done func(error))) error {
	ended := make(chan error, 1)
	f(func(err error) { ended <- err })
	return <-ended
}

// WasDrawn reports whether the draw had been made before the contest was opened.
// With a shared ledger the winners may not be known yet then.
func (c *Contest) WasDrawn() bool { return c.wasDrawn }

// Store admits a batch that a writer sends: whole, or not at all. With a position,
// bets that are stored already are left out; only a writer that has resumed, and so
// knows what is stored, may give one. done is called when the whole batch is
// durable, or with the reason why it never will be.
//
// On an error nothing is admitted and done is not called. It is a *Refusal with
// code EmptyBatch, UnknownAgency, AgencyFinished, DrawDone, Gap, Fenced or Storage,
// or ErrUnavailable. done gets AgencyFinished, DrawDone, Fenced, Storage or
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

// append stores rows after all others of the agency. The caller holds the lock.
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
	account.inFlight.Add(-bets) // only now, or they would look durable
	done(failure(err))
}

// lose notes that the ledger has not kept what was admitted, and returns the first
// such error: all later calls get the same. The caller holds the lock.
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

// failure turns an error of the ledger into a refusal, except ErrUnavailable.
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
// other from now on. done gets the number of durable bets of the agency, with all
// that were admitted before, and the digest of their rows: XXH64 with seed 0, in
// order. Its error, like Resume's, is a *Refusal with code UnknownAgency or
// Storage, or ErrUnavailable.
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

// claim makes the contest the agency's writer, and brings the account up to date.
// Then waiting requests proceed. The caller holds the lock.
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

// replace sets the account to what the ledger has, except how the betting has
// ended: only ended sets that. The caller holds the lock.
func (a *account) replace(stored *Account) {
	how := a.stored.Ended
	a.ending, a.unsure, a.lost = stored.Ended != Open, false, nil
	a.stored = *stored
	a.stored.Ended = how
}

// see notes how many bets of the agency are stored, and by which central the last.
func (a *account) see(bets uint64, central string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if bets > a.bets() {
		a.lastSeen = time.Now()
	}
	a.seen, a.seenBy = bets, central
}

// Tally is what an agency says that it has bet; either part may be missing.
type Tally struct {
	Bets, Digest       uint64 // XXH64 with seed 0 of the rows, in order
	HasBets, HasDigest bool
}

// Finish ends the agency's betting at a writer's request; done is called when that
// is durable. Repeating it does nothing. It first compares what is stored with what
// the agency says. When the last agency has finished, the draw follows. The error,
// Finish's or done's, is ErrUnavailable or a *Refusal with code UnknownAgency,
// Incomplete, OtherBets, Fenced or Storage, or, when the agency was declared
// missing, AgencyFinished (DrawDone after the draw).
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

// tryFinish carries out a request to finish. The caller holds the lock.
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
		if err != nil && c.shared && from == 0 && !r.waited {
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
		isAgain := false
		if errors.Is(err, ErrMoved) {
			isAgain, err = c.again(agency, a, r, err)
		}
		a.mu.Unlock()
		if isAgain {
			return
		}
		if err == nil && how == Missing {
			r.done(c.tooLate(agency, Missing))
			return
		}
		r.done(failure(err))
	})
	return nil
}

// compare returns a refusal unless what the agency says that it has bet is stored.
// The caller holds the lock.
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

// end ends the agency's betting in the ledger. An end that got ErrUnavailable may
// still take effect; on a shared ledger a claim tells its outcome. The caller holds
// the lock.
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

// DrawWithout ends the betting of agencies that have not finished, and returns when
// that is durable: the draw includes the bets that they have stored, and they count
// as missing. Those that have finished stay as they are. The error is a *Refusal
// with code UnknownAgency, Fenced or Storage, or ErrUnavailable.
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
		// Only a claim tells what has happened, and an agency that never comes
		// makes none.
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

// ended notes that an agency's betting has ended, at any central. After the last
// one it makes the draw.
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
			time.AfterFunc(drawRetry, c.draw) // until the ledger is closed
		}
	})
}

// know stores the winners of each agency, unless the accounts have them.
func (c *Contest) know(winners [][]string) {
	for i := range winners {
		a := &c.accounts[i]
		a.mu.Lock()
		a.stored.Winners = winners[i]
		a.mu.Unlock()
	}
}

// Winners returns the documents of the agency's winning bets, in the order of the
// bets, and whether the draw is done; before that there are none. The caller must
// not change the slice. The error is a *Refusal with code UnknownAgency.
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

// Standing is how far an agency has got.
type Standing struct {
	Agency   int
	Bets     uint64    // admitted here, or stored by other centrals as far as known
	LastSeen time.Time // its last request here, the last of its bets seen elsewhere, or the opening of the contest
	Ended    Ending    // of its betting
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
// Agencies whose number is not known are left out: a shared ledger may not have
// told it yet. A number may be too low for a moment, but never too high.
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
