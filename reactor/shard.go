package reactor

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
	"loteria/codec"
	"loteria/lottery"
)

// readBuffer is how many bytes a loop reads at once: gnet's 64 KiB cost an agency
// with a window one system call for every 11 batches.
const readBuffer = 256 << 10

// shard is an event loop and its state: no lock guards that, except for the mailbox,
// and no other goroutine looks into it.
type shard struct {
	gnet.BuiltinEventEngine
	server      *Server
	client      *gnet.Client // whose only loop it is: of several, gnet would choose one itself
	mail        mailbox
	connections gauge // that it was given

	sessions []*session            // whose connection is open, or that have jobs
	parked   map[*session]struct{} // whose query waits for the draw

	leadsSince atomic.Int64 // when it began the commit that it makes, in nanoseconds after the server was made; or 0
	slept      time.Time    // until when it waited long for the disk

	// The fullest windows that the last sweep saw.
	windowFrames, windowBytes gauge

	// Scratch, reused for each request.
	batch    lottery.Batch
	raw      lottery.RawBet
	bets     codec.BatchReader
	bet      codec.Bet
	finished codec.Finished
	query    codec.WinnersQuery
	resume   codec.Resume
	replies  []byte
	opened   []byte // what came in over TLS
	sealed   []byte // what goes out over TLS, see takeSealed
}

func newShard(s *Server) *shard {
	return &shard{server: s, parked: make(map[*session]struct{})}
}

// start starts the loop.
func (sh *shard) start() (err error) {
	sh.client, err = gnet.NewClient(sh,
		gnet.WithNumEventLoop(1),
		gnet.WithReadBufferCap(readBuffer),
		gnet.WithLogger(gnetLog{sh.server.config.LoopLog}))
	if err == nil {
		err = sh.client.Start()
	}
	if err == nil {
		if err = sh.open(); err != nil {
			err = errors.Join(err, sh.client.Stop())
		}
	}
	return err
}

// open opens the mailbox: gnet shows an event loop only to a connection of it, which
// this one is for. A session may be moved to a loop that has had no other, and get
// lost on the way.
func (sh *shard) open() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[1])
	file := os.NewFile(uintptr(pair[0]), "connection")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err == nil {
		_, err = sh.client.EnrollContext(conn, nil)
	}
	if err == nil && !sh.mail.put(task{do: func() {}}) {
		err = errors.New("the event loop takes no connection")
	}
	return err
}

// stop ends the loop, and closes what is still open. From then on the shard is the
// caller's.
func (sh *shard) stop() error {
	sh.mail.close()
	err := sh.client.Stop()
	sh.mail.finish()
	for i := len(sh.sessions); i > 0; {
		i = sh.piece(i, (*session).close)
	}
	return err
}

// OnOpen implements gnet.EventHandler.
func (sh *shard) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	session, ok := c.Context().(*session)
	if !ok { // see open
		sh.mail.open(c.EventLoop())
		return nil, gnet.Close
	}
	session.conn = c
	session.opened.Add(1)
	session.place = len(sh.sessions)
	sh.sessions = append(sh.sessions, session)
	if session.secure != nil {
		if err := session.openSecured(); err != nil {
			sh.server.logFailure("identify_agency", session.peer, err)
			return nil, gnet.Close
		}
	}
	session.short.use(c.Fd(), session.secure)
	if session.flushing {
		session.arrived()
	}
	return nil, gnet.None
}

// OnTraffic implements gnet.EventHandler.
func (sh *shard) OnTraffic(c gnet.Conn) gnet.Action {
	session := c.Context().(*session)
	if server := sh.server; server.waiting.get() <= maxLed && server.reading.Load() != sh {
		server.reading.Store(sh)
	}
	sh.mail.read() // it may make room in the session's window
	defer sh.mail.lead()
	if session.state == closed {
		return gnet.None
	}
	data, _ := c.Next(-1) // everything, so that gnet never buffers any
	if session.secure != nil {
		session.receiveSealed(data)
	} else {
		session.receive(data)
	}
	if sh.moveOn(session, c) {
		return gnet.Close
	}
	return gnet.None
}

// OnClose implements gnet.EventHandler.
func (sh *shard) OnClose(c gnet.Conn, err error) gnet.Action {
	session, ok := c.Context().(*session)
	if !ok {
		return gnet.None // it was moved, or is open's
	}
	if errors.Is(err, io.EOF) {
		session.finishLine()
		session.takeWritten()
		if session.goOn(c) {
			return gnet.None
		}
		session.sayEnd()
	}
	session.ended(err)
	return gnet.None
}

// left uncounts a session's connection, which is gone.
func (sh *shard) left(s *session) {
	sh.connections.add(-1)
	sh.server.limits.leave(s.peer)
	sh.server.wakeStop()
}

// forget removes a session, if it is there, and the last one gets its place.
func (sh *shard) forget(s *session) {
	if s.place >= len(sh.sessions) || sh.sessions[s.place] != s {
		return
	}
	end := len(sh.sessions) - 1
	moved := sh.sessions[end]
	sh.sessions[s.place], moved.place = moved, s.place
	sh.sessions[end] = nil
	sh.sessions = sh.sessions[:end]
}

// maxPiece is how many sessions are looked at in one task of the loop: more would
// keep it from its connections.
const maxPiece = 512

// piece calls f for some sessions below the given place, and returns the place below
// which the next piece is, or 0. It goes downward, to miss none when some go and
// others come meanwhile.
func (sh *shard) piece(below int, f func(*session)) int {
	below = min(below, len(sh.sessions))
	end := max(below-maxPiece, 0)
	for below > end {
		if below--; below < len(sh.sessions) {
			f(sh.sessions[below])
		}
	}
	return below
}

// tellParked answers some of the parked queries, and reports whether there are
// more.
func (sh *shard) tellParked() (more bool) {
	told := 0
	for session := range sh.parked {
		if told++; told > maxPiece {
			break
		}
		delete(sh.parked, session)
		session.flush()
	}
	return len(sh.parked) > 0
}

// sweeper ends the connections of a shard that have taken too long, in pieces.
type sweeper struct {
	shard         *shard
	below         int
	frames, bytes int // the fullest windows
}

func (sh *shard) newSweeper() *sweeper { return &sweeper{shard: sh, below: math.MaxInt} }

// sweep looks at some sessions, and reports whether there are more.
func (w *sweeper) sweep() (more bool) {
	now := time.Now()
	if now.Sub(w.shard.slept) < catchUp {
		return false
	}
	w.below = w.shard.piece(w.below, func(s *session) {
		w.frames, w.bytes = max(w.frames, s.frames.get()), max(w.bytes, s.bytes.get())
		s.checkTime(now)
	})
	if w.below > 0 {
		return true
	}
	w.shard.windowFrames.set(w.frames)
	w.shard.windowBytes.set(w.bytes)
	return false
}

// closer closes, for a stop, every connection that waits for no answer. The
// others follow when they have theirs. Parked queries get none: there was no
// draw.
func (sh *shard) closer() (piece func() (more bool)) {
	below := math.MaxInt
	return func() bool {
		below = sh.piece(below, (*session).closeIfStopping)
		return below > 0
	}
}
