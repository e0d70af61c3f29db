package reactor

import "sync/atomic"

// count is a number that the event loop alone changes. Whoever reads it costs
// the loop nothing.
type count struct{ n atomic.Int64 }

func (c *count) add(n int) { c.set(c.get() + n) }
func (c *count) set(n int) { c.n.Store(int64(n)) }
func (c *count) get() int  { return int(c.n.Load()) }

// counts is what the event loop has at the moment.
type counts struct {
	connections count // that are open and were not refused
	refused     count // connections, since the start
	cut         count // connections, since the start
	queries     count // parked
	frames      count // that wait for their answer
	waiting     count // bytes of payload in them
	unread      count // bytes of answers that peers have not taken
	busy        count // bursts with the queue or a worker

	// The fullest windows that the last sweep saw.
	windowFrames, windowBytes count
}

// Stats is what a server has at the moment. What is bounded has its bound
// beside it.
type Stats struct {
	Connections    int
	MaxConnections int
	// RefusedConnections is how many were closed at once, for want of room,
	// since the start.
	RefusedConnections int
	// CutConnections is how many were ended since the start because their peer
	// left too many answers unread, or sent too much behind a query.
	CutConnections int
	ParkedQueries  int // that wait for the draw

	WaitingFrames int // that wait for their answer
	WaitingBytes  int // of payload in them
	MaxWaiting    int // bytes; beyond it the answer is RETRY
	UnreadBytes   int // of answers that peers have not taken
	Bursts        int // with the workers, or waiting for one
	Workers       int

	// The fullest window of any connection when they were last looked at,
	// which is about once a second.
	WindowFrames, WindowBytes       int
	MaxWindowFrames, MaxWindowBytes int
}

// Stats may be called at any time, by anybody: the event loop does not notice.
func (s *Server) Stats() Stats {
	return Stats{
		Connections:        s.connections.get(),
		MaxConnections:     s.config.MaxConnections,
		RefusedConnections: s.refused.get(),
		CutConnections:     s.cut.get(),
		ParkedQueries:      s.queries.get(),
		WaitingFrames:      s.frames.get(),
		WaitingBytes:       s.waiting.get(),
		MaxWaiting:         s.config.MaxWaiting,
		UnreadBytes:        s.unread.get(),
		Bursts:             s.busy.get(),
		Workers:            s.config.Workers,
		WindowFrames:       s.windowFrames.get(),
		WindowBytes:        s.windowBytes.get(),
		MaxWindowFrames:    s.config.WindowFrames,
		MaxWindowBytes:     s.config.WindowBytes,
	}
}
