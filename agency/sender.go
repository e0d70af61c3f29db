package agency

import (
	"io"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// flushSize is how many bytes of frames are gathered for one write, at most a
// frame more.
const flushSize = 64 << 10

// sender makes batches of bets and writes them to the central, as many as the
// window allows.
type sender struct {
	link     *link
	bets     bets
	window   int
	amount   int
	single   bool
	position uint64 // how many bets come before batch
	period   time.Duration

	pending chan span     // batches that wait for their answer, in order; closed at the end
	quit    chan struct{} // closed when no more is taken from pending

	batch  codec.Batch
	bet    codec.Bet
	held   lottery.RawBet // the bet that did not fit batch any more
	isHeld bool

	frames  []byte // gathered, not yet written
	waiting int    // how many frames
}

func (a *agency) newSender(l *link, b *betting, bets bets, stored uint64) *sender {
	s := &sender{
		link:     l,
		bets:     bets,
		window:   b.window,
		amount:   b.amount,
		single:   b.single,
		position: stored,
		period:   a.config.LoopPeriod,
		quit:     make(chan struct{}),
	}
	s.batch.HasPosition = a.central == resuming
	if a.central == legacy {
		s.window = 1
	}
	// The receiver holds one more, whose answer it waits for.
	s.pending = make(chan span, s.window-1)
	return s
}

// run sends all batches. The error is that of the bets, or a *lostError.
func (s *sender) run() error {
	defer close(s.pending)
	for first := true; ; first = false {
		err := s.fill()
		if err != nil && err != io.EOF {
			if lost := s.flush(); lost != nil {
				return lost
			}
			return err
		}
		if len(s.batch.RawBets) == 0 {
			return s.flush()
		}
		if !first && s.period > 0 {
			if err := s.flush(); err != nil {
				return err
			}
			if ok, err := s.pause(); err != nil || !ok {
				return err
			}
		}
		if ok, err := s.admit(); err != nil || !ok {
			return err
		}
		if err := s.write(); err != nil {
			return err
		}
	}
}

// fill makes the next batch: as many bets as are allowed and fit one frame. The
// error is io.EOF when there are no more after it, or that of the bets.
func (s *sender) fill() error {
	s.batch.RawBets = s.batch.RawBets[:0]
	size := emptyBatchSize(s.batch.HasPosition)
	if s.isHeld {
		s.isHeld = false
		s.batch.RawBets = append(s.batch.RawBets, s.held)
		size += codec.BatchedSize(&s.held)
	}
	for len(s.batch.RawBets) < s.amount {
		e, err := s.bets.next()
		if err != nil {
			return err
		}
		if size += codec.BatchedSize(&e.raw); size > codec.MaxFrame {
			s.held, s.isHeld = e.raw, true
			break
		}
		s.batch.RawBets = append(s.batch.RawBets, e.raw)
	}
	return nil
}

// pause waits for loop.period. It reports false when quit is closed. A stop is an
// error: returning nil would say that all is sent.
func (s *sender) pause() (ok bool, err error) {
	timer := time.NewTimer(s.period)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case <-s.link.ctx.Done():
		return false, s.link.ctx.Err()
	case <-s.quit:
		return false, nil
	}
}

// admit waits for a place in the window, after a flush, so that answers can make
// one. It reports false when quit is closed.
func (s *sender) admit() (ok bool, err error) {
	next := span{
		position: s.position,
		bets:     len(s.batch.RawBets),
		document: s.batch.RawBets[0].Document,
		number:   s.batch.RawBets[0].Number,
	}
	select {
	case s.pending <- next:
		return true, nil
	default:
	}
	if err := s.flush(); err != nil {
		return false, err
	}
	select {
	case s.pending <- next:
		return true, nil
	case <-s.quit:
		return false, nil
	}
}

// write adds the batch's frame to those gathered. Half a window is written at once,
// so that the central has work while the other half is made.
func (s *sender) write() (err error) {
	s.batch.Position = s.position
	var m codec.Message = &s.batch
	if s.single {
		s.bet.RawBet = s.batch.RawBets[0]
		m = &s.bet
	}
	if s.frames, err = codec.AppendFrame(s.frames, m); err != nil {
		return err
	}
	s.position += uint64(len(s.batch.RawBets))
	s.waiting++
	if len(s.frames) >= flushSize || s.waiting >= max(1, s.window/2) {
		return s.flush()
	}
	return nil
}

// flush writes the frames that were gathered.
func (s *sender) flush() error {
	if len(s.frames) == 0 {
		return nil
	}
	err := s.link.send(s.frames)
	if err != nil {
		s.link.stopReading()
	}
	s.frames, s.waiting = s.frames[:0], 0
	return err
}
