package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"loteria/codec"
	"loteria/lottery"
)

// central is a small one, which a test can make wait.
type central struct {
	t       *testing.T
	winners []string
	onBatch func(n int) codec.Message // an answer instead of the usual one, or nil

	admitted chan int      // that many more batches are answered; nil: all are
	queried  chan struct{} // gets one when the winners are asked for
	draw     chan struct{} // they are known when it is closed; nil: at once
	ended    chan struct{} // closed with the test

	mu      sync.Mutex
	count   uint64
	rows    []byte
	batches int
}

func newCentral(t *testing.T, winners ...string) *central {
	return &central{t: t, winners: winners, queried: make(chan struct{}, 1), ended: make(chan struct{})}
}

// serve serves one connection after the other.
func (c *central) serve() (address string) {
	address = listen(c.t, c.handle)
	c.t.Cleanup(func() { close(c.ended) }) // before listen's, which waits for the connection
	return address
}

// admit lets it answer that many more batches, and waits until it has begun to.
func (c *central) admit(batches int) {
	c.t.Helper()
	select {
	case c.admitted <- batches:
	case <-time.After(patience):
		c.t.Fatal("no batch came")
	}
}

// has gives it the first bets of the agency's file.
func (c *central) has(folder string, bets int) {
	text, err := os.ReadFile(filepath.Join(folder, "agency-1.csv"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, row := range strings.SplitAfter(string(text), "\r\n")[:bets] {
		c.rows = append(c.rows, "1,"+row...)
		c.count++
	}
}

func (c *central) handle(conn net.Conn) {
	var decoder codec.Decoder
	buffer := make([]byte, 64<<10)
	left := 0
	for {
		n, err := conn.Read(buffer)
		for rest := buffer[:n]; ; {
			frame, more, ok, err := decoder.Next(rest)
			if err != nil {
				c.t.Errorf("the agency breaks the protocol: %v", err)
				return
			}
			if rest = more; !ok {
				break
			}
			if frame.Type == codec.TypeBatch || frame.Type == codec.TypeBet {
				if c.admitted != nil && left == 0 {
					select {
					case left = <-c.admitted:
					case <-c.ended:
						return
					}
				}
				left--
			}
			if !c.answer(conn, frame) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// answer answers a request, and reports whether the connection goes on.
func (c *central) answer(conn net.Conn, frame codec.Frame) bool {
	var answer codec.Message
	switch frame.Type {
	case codec.TypeResume:
		c.mu.Lock()
		answer = &codec.ResumePoint{Count: c.count, Digest: xxhash.Sum64(c.rows)}
		c.mu.Unlock()
	case codec.TypeBatch:
		var batch codec.Batch
		if err := batch.Decode(frame.Payload); err != nil {
			c.t.Error(err)
			return false
		}
		answer = c.store(batch.RawBets)
	case codec.TypeBet:
		var bet codec.Bet
		if err := bet.Decode(frame.Payload); err != nil {
			c.t.Error(err)
			return false
		}
		answer = c.store([]lottery.RawBet{bet.RawBet})
	case codec.TypeFinished:
		answer = &codec.Success{Finished: true}
	case codec.TypeWinnersQuery:
		c.queried <- struct{}{}
		if c.draw != nil {
			select {
			case <-c.draw:
			case <-c.ended:
				return false
			}
		}
		frames, err := codec.AppendWinners(nil, c.winners)
		if err == nil {
			_, err = conn.Write(frames)
		}
		return err == nil
	}
	bytes, err := codec.AppendFrame(nil, answer)
	if err == nil {
		_, err = conn.Write(bytes)
	}
	return err == nil
}

func (c *central) store(rawBets []lottery.RawBet) codec.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches++
	if c.onBatch != nil {
		if answer := c.onBatch(c.batches); answer != nil {
			return answer
		}
	}
	for i := range rawBets {
		bet, err := rawBets[i].Bet()
		if err != nil {
			c.t.Error(err)
		}
		c.rows = bet.AppendRow(c.rows)
		c.count++
	}
	return &codec.Success{Document: rawBets[0].Document, Number: rawBets[0].Number}
}

// betsFolder makes a data folder with that many bets of agency 1.
func betsFolder(t *testing.T, bets int) string {
	t.Helper()
	var text strings.Builder
	for i := range bets {
		fmt.Fprintf(&text, "Santiago Lionel,Ñandú %d,%d,1999-03-17,%d\r\n", i, 30904465+i, i%10000)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "agency-1.csv")
	err := os.WriteFile(file, []byte(text.String()), 0o644)
	if err == nil {
		err = os.Chtimes(file, time.Time{}, time.Unix(1, 0)) // the agency waits for nothing then
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder
}
