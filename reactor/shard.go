package reactor

import (
	"errors"
	"io"
	"time"

	"github.com/panjf2000/gnet/v2"
	"loteria/codec"
	"loteria/lottery"
)

// readBuffer is how many bytes a loop reads at once: with gnet's 64 KiB, an
// agency with a window costs one system call for 11 batches.
const readBuffer = 256 << 10

// shard is an event loop and what belongs to it: no lock guards that, except
// for its mailbox, and nobody else looks into it.
type shard struct {
	gnet.BuiltinEventEngine
	server      *Server
	client      *gnet.Client // whose only loop it is: of several, gnet would choose one itself
	mail        mailbox
	connections gauge // that it was given

	sessions  map[*session]struct{} // whose connection is open, or that have jobs
	parked    map[*session]struct{} // whose query waits for the draw
	lingering map[*session]struct{} // which are closed soon

	// The fullest windows that the last sweep saw.
	windowFrames, windowBytes gauge

	// Scratch, used again for each request.
	batch    lottery.Batch
	slip     lottery.Slip
	bets     codec.BatchReader
	bet      codec.Bet
	finished codec.Finished
	query    codec.WinnersQuery
	resume   codec.Resume
	replies  []byte
}

func newShard(s *Server) *shard {
	return &shard{
		server:    s,
		sessions:  make(map[*session]struct{}),
		parked:    make(map[*session]struct{}),
		lingering: make(map[*session]struct{}),
	}
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
	return err
}

// stop ends the loop, and closes what is still open. From then on the caller has
// the shard.
func (sh *shard) stop() error {
	sh.mail.close()
	err := sh.client.Stop()
	for session := range sh.sessions {
		session.close()
	}
	return err
}

// OnOpen implements gnet.EventHandler.
func (sh *shard) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	session := c.Context().(*session)
	session.conn, session.opened = c, true
	session.short.use(c.Fd())
	sh.sessions[session] = struct{}{}
	sh.mail.open(c.EventLoop())
	return nil, gnet.None
}

// OnTraffic implements gnet.EventHandler.
func (sh *shard) OnTraffic(c gnet.Conn) gnet.Action {
	session := c.Context().(*session)
	sh.mail.empty() // it may make room in the session's window
	if session.state == closed {
		return gnet.None
	}
	data, _ := c.Next(-1) // everything, so that gnet never buffers any
	session.receive(data)
	return gnet.None
}

// OnClose implements gnet.EventHandler.
func (sh *shard) OnClose(c gnet.Conn, err error) gnet.Action {
	session := c.Context().(*session)
	if errors.Is(err, io.EOF) {
		session.finishLine()
		if len(session.jobs) > 0 && session.short.hasWritten(session.jobs[0]) {
			sh.mail.empty() // what is written is no reason to go on
		}
		if session.goOn(c) {
			return gnet.None
		}
	}
	session.ended(err)
	return gnet.None
}

// left counts a session's connection, which is gone.
func (sh *shard) left(s *session) {
	sh.connections.add(-1)
	sh.server.doors.leave(s.peer)
}

// tellParked answers all parked queries.
func (sh *shard) tellParked() {
	for session := range sh.parked {
		session.unpark()
	}
}

// closeIdle closes, for a stop, every connection that waits for no answer. The
// others follow when they have theirs. Parked queries get none: there was no
// draw.
func (sh *shard) closeIdle() {
	for session := range sh.sessions {
		session.closeIfIdle()
	}
}

// sweep ends the connections that have taken too long, and closes those that
// have lingered long enough.
func (sh *shard) sweep() {
	now := time.Now()
	var frames, bytes int
	for session := range sh.sessions {
		frames, bytes = max(frames, session.frames.get()), max(bytes, session.bytes.get())
		session.checkTime(now)
	}
	sh.windowFrames.set(frames)
	sh.windowBytes.set(bytes)
	for session := range sh.lingering {
		if now.After(session.closeAfter) {
			session.closeIfIdle()
		} else {
			session.endOutput()
		}
	}
}
