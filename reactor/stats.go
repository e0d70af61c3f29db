package reactor

import "sync/atomic"

// gauge is a number that the event loops change. Reading it costs them nothing.
type gauge struct{ n atomic.Int64 }

func (g *gauge) add(n int) { g.n.Add(int64(n)) }
func (g *gauge) set(n int) { g.n.Store(int64(n)) }
func (g *gauge) get() int  { return int(g.n.Load()) }

// gauges are the figures of all event loops together at the moment.
type gauges struct {
	refused gauge // connections, since the start
	cut     gauge // connections, since the start
	secured gauge // connections over TLS whose handshake is done
	failed  gauge // handshakes, since the start
	queries gauge // parked
	frames  gauge // that wait for their answer
	waiting gauge // bytes that they cost
	behind  gauge // bytes of frames behind parked queries
	busy    gauge // jobs
}

// Stats is a snapshot of a server. What is bounded has its bound beside it.
type Stats struct {
	Connections    int
	MaxConnections int
	// RefusedConnections is how many were closed at once, for want of room,
	// since the start.
	RefusedConnections int
	// CutConnections is how many were ended since the start because their peer
	// left too many replies unread, or sent too much behind a query.
	CutConnections int
	ParkedQueries  int // that wait for the draw

	TLSConnections   int // whose handshake is done; they are among Connections
	Handshakes       int // in progress; their connections count, too
	MaxHandshakes    int // 0 without TLS
	FailedHandshakes int // since the start

	WaitingFrames int // that wait for their answer
	WaitingBytes  int // that they cost
	MaxWaiting    int // bytes; beyond it the answer is RETRY
	UnreadBytes   int // of replies that peers have not taken
	Jobs          int // what came with one read, and is not durable yet
	Loops         int

	// The fullest window of any connection when they were last looked at,
	// which is about once a second.
	WindowFrames, WindowBytes       int
	MaxWindowFrames, MaxWindowBytes int
}

// Stats may be called at any time, by any goroutine: the event loops do not notice.
func (s *Server) Stats() Stats {
	stats := Stats{
		Connections:        s.limits.count(),
		MaxConnections:     s.config.MaxConnections,
		RefusedConnections: s.refused.get(),
		CutConnections:     s.cut.get(),
		ParkedQueries:      s.queries.get(),
		TLSConnections:     s.secured.get(),
		Handshakes:         s.handshakes.count(),
		FailedHandshakes:   s.failed.get(),
		WaitingFrames:      s.frames.get(),
		WaitingBytes:       s.waiting.get(),
		MaxWaiting:         s.config.MaxWaiting,
		UnreadBytes:        s.debts.sum(),
		Jobs:               s.busy.get(),
		Loops:              len(s.shards),
		MaxWindowFrames:    s.config.WindowFrames,
		MaxWindowBytes:     s.config.WindowBytes,
	}
	if s.config.TLS != nil {
		stats.MaxHandshakes = s.config.TLS.MaxHandshakes
	}
	for _, shard := range s.shards {
		stats.WindowFrames = max(stats.WindowFrames, shard.windowFrames.get())
		stats.WindowBytes = max(stats.WindowBytes, shard.windowBytes.get())
	}
	return stats
}
