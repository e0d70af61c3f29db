// Package simple is a minimal central, as one writes it for an exercise: a
// goroutine per connection, one lock for everything, and for each batch the file
// is opened, appended to and closed. Nothing is synced, so a crash of the machine
// may lose acknowledged bets.
package simple

import (
	"bufio"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"loteria/bench/peers/accept"
	"loteria/codec"
	"loteria/lottery"
)

// Server serves the lottery of a number of agencies. Its Serve and Close are
// those of accept.Loop.
type Server struct {
	*accept.Loop
	agencies int
	drawn    chan struct{} // closed when all agencies have finished

	mu       sync.Mutex // also guards the file
	path     string
	finished map[int]bool
}

// New returns a Server that appends to the CSV file at path.
func New(path string, agencies int) *Server {
	s := &Server{path: path, agencies: agencies, drawn: make(chan struct{}), finished: make(map[int]bool)}
	s.Loop = accept.New(s.handle)
	return s
}

// writeTime is how long a write may wait for a peer that does not read.
const writeTime = 30 * time.Second

// handle answers a connection's requests, one after the other.
func (s *Server) handle(conn net.Conn) {
	requests := bufio.NewReader(conn)
	for {
		kind, payload, err := readFrame(requests)
		if err != nil {
			return
		}
		answer, err := s.answer(kind, payload)
		if err != nil {
			refused := &codec.Error{Code: lottery.Storage}
			if r := (*lottery.Refusal)(nil); errors.As(err, &r) {
				refused.Code = r.Code
			}
			if answer, err = codec.AppendFrame(nil, refused); err != nil {
				return
			}
		}
		_ = conn.SetWriteDeadline(time.Now().Add(writeTime)) // fails only where the write does
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

func readFrame(r io.Reader) (codec.Type, []byte, error) {
	var header [5]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > codec.MaxPayload {
		return 0, nil, fmt.Errorf("a payload of %d bytes", size)
	}
	payload := make([]byte, size+1)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	if payload[size] != codec.Delimiter {
		return 0, nil, errors.New("no delimiter")
	}
	return codec.Type(header[4]), payload[:size], nil
}

// answer does what a request asks for, and returns the frames that answer it.
func (s *Server) answer(kind codec.Type, payload []byte) ([]byte, error) {
	switch kind {
	case codec.TypeBet:
		var bet codec.Bet
		if err := bet.Decode(payload); err != nil {
			return nil, err
		}
		return s.store([]lottery.RawBet{bet.RawBet})
	case codec.TypeBatch:
		var batch codec.Batch
		if err := batch.Decode(payload); err != nil {
			return nil, err
		}
		return s.store(batch.RawBets)
	case codec.TypeFinished:
		var finished codec.Finished
		if err := finished.Decode(payload); err != nil {
			return nil, err
		}
		return s.finish(finished.Agency)
	case codec.TypeWinnersQuery:
		var query codec.WinnersQuery
		if err := query.Decode(payload); err != nil {
			return nil, err
		}
		return s.winners(query.Agency)
	default:
		return nil, &lottery.Refusal{Code: codec.UnknownType, Reason: kind.String() + " is not known here"}
	}
}

func (s *Server) store(rawBets []lottery.RawBet) ([]byte, error) {
	if len(rawBets) == 0 {
		return nil, &lottery.Refusal{Code: lottery.EmptyBatch}
	}
	records := make([][]string, len(rawBets))
	for i := range rawBets {
		bet, err := rawBets[i].Bet()
		if err == nil && bet.Agency > s.agencies {
			err = &lottery.Refusal{Code: lottery.UnknownAgency}
		}
		if err != nil {
			return nil, err
		}
		records[i] = []string{
			strconv.Itoa(bet.Agency), bet.FirstName, bet.LastName, bet.Document, bet.Birthdate, strconv.Itoa(bet.Number),
		}
	}
	if err := s.append(records); err != nil {
		return nil, err
	}
	return codec.AppendFrame(nil, &codec.Success{Document: rawBets[0].Document, Number: rawBets[0].Number})
}

func (s *Server) append(records [][]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	rows := csv.NewWriter(file)
	rows.UseCRLF = true
	err = rows.WriteAll(records)
	return errors.Join(err, file.Close())
}

func (s *Server) finish(name string) ([]byte, error) {
	agency, err := s.known(name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished[agency] {
		s.finished[agency] = true
		if len(s.finished) == s.agencies {
			close(s.drawn)
		}
	}
	return codec.AppendFrame(nil, &codec.Success{Finished: true})
}

// winners waits for the draw, and then reads the whole file.
func (s *Server) winners(name string) ([]byte, error) {
	agency, err := s.known(name)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.drawn:
	case <-s.Closing():
		return nil, errors.New("the server stops")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var documents []string
	for rows := csv.NewReader(file); ; {
		row, err := rows.Read()
		if err == io.EOF {
			return codec.AppendWinners(nil, documents)
		}
		if err != nil {
			return nil, err
		}
		if row[0] == strconv.Itoa(agency) && row[5] == strconv.Itoa(lottery.WinningNumber) {
			documents = append(documents, row[3])
		}
	}
}

func (s *Server) known(name string) (int, error) {
	agency, err := lottery.ParseAgency(name)
	if err == nil && agency > s.agencies {
		err = &lottery.Refusal{Code: lottery.UnknownAgency}
	}
	return agency, err
}
