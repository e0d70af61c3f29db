// Package goroutines is the central without its reactor: the same protocol, the
// same judging and the same contest, served by two goroutines per connection on
// package net. One takes requests and admits their bets, the other awaits the
// disk and answers in order, so that a connection's window is used.
//
// The reactor is compared with it. It leaves out what a well-behaved agency does
// not need: limits per address and in total, echo, and any log but of requests.
package goroutines

import (
	"net"

	"loteria/bench/peers/accept"
	"loteria/internal/logline"
	"loteria/lottery"
)

// Server serves a contest. Its Serve and Close are those of accept.Loop.
type Server struct {
	*accept.Loop
	contest *lottery.Contest
	journal *logline.Journal
}

// New returns a Server for the contest, which the caller closes.
func New(contest *lottery.Contest, journal *logline.Journal) *Server {
	s := &Server{contest: contest, journal: journal}
	s.Loop = accept.New(s.handle)
	return s
}

func (s *Server) handle(conn net.Conn) {
	answers := make(chan answer, window)
	durable := newProgress()
	reader := reader{contest: s.contest, answers: answers, durable: durable}
	peer, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	writer := writer{contest: s.contest, journal: s.journal, durable: durable, conn: conn, peer: peer, closing: s.Closing()}
	go func() {
		defer close(answers)
		reader.read(conn)
	}()
	writer.write(answers)
}
