package generator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"loteria/codec"
)

// ParkConfig says how many queries for winners wait for the draw.
type ParkConfig struct {
	Queries     int
	Connections int // the queries are spread evenly over them
	Agencies    int // all of the lottery
}

// Check returns what is wrong with the configuration, or nil.
func (c *ParkConfig) Check() error {
	if c.Connections < 1 || c.Agencies < 1 || c.Queries < c.Connections {
		return fmt.Errorf("%d queries on %d connections of %d agencies, expected at least one of each, and a query for each connection",
			c.Queries, c.Connections, c.Agencies)
	}
	return nil
}

// Parked is queries for winners that wait for a central's draw.
type Parked struct {
	central  *Central
	agencies int
	conns    []net.Conn
	queries  []int // of each connection
}

// Park sends the queries, and returns when the central has them.
func Park(ctx context.Context, central *Central, config ParkConfig) (*Parked, error) {
	if err := config.Check(); err != nil {
		return nil, err
	}
	p := &Parked{
		central:  central,
		agencies: config.Agencies,
		conns:    make([]net.Conn, config.Connections),
		queries:  make([]int, config.Connections),
	}
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(dialing)
	for i := range p.conns {
		p.queries[i] = config.Queries / config.Connections
		if i < config.Queries%config.Connections {
			p.queries[i]++
		}
		group.Go(func() error { return p.park(limited, i) })
	}
	err := group.Wait()
	if err == nil {
		err = p.settle(ctx)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// agency returns the agency of connection i.
func (p *Parked) agency(i int) int { return i%p.agencies + 1 }

func (p *Parked) name(i int) string { return strconv.Itoa(p.agency(i)) }

func (p *Parked) park(ctx context.Context, i int) error {
	conn, err := p.central.connect(ctx, p.agency(i))
	if err != nil {
		return fmt.Errorf("connection %d: %w", i, err)
	}
	p.conns[i] = conn
	var frames []byte
	for range p.queries[i] {
		if frames, err = codec.AppendFrame(frames, &codec.WinnersQuery{Agency: p.name(i)}); err != nil {
			return err
		}
	}
	_, err = conn.Write(frames)
	return err
}

// settle waits until the central has read everything sent before: each of its
// loops serves its connections in turn, and with this many at once every loop
// has some.
func (p *Parked) settle(ctx context.Context) error {
	const times, connections = 3, 64
	for range times {
		asked := make(chan error, connections)
		for range connections {
			go func() { asked <- p.ask(ctx, 1, &codec.Batch{}, codec.TypeError) }() // refused: no bets
		}
		var err error
		for range connections {
			err = errors.Join(err, <-asked)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask sends one request of an agency over a new connection.
func (p *Parked) ask(ctx context.Context, agency int, m codec.Message, want codec.Type) error {
	conn, err := p.central.connect(ctx, agency)
	if err != nil {
		return err
	}
	defer conn.Close()
	return ask(ctx, conn, m, want)
}

// ask sends one request and waits for an answer of type want.
func ask(ctx context.Context, conn net.Conn, m codec.Message, want codec.Type) error {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	frame, err := codec.AppendFrame(nil, m)
	if err != nil {
		return err
	}
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	a := answers{conn: conn}
	answer, err := a.next()
	if err == nil && answer.Type != want {
		err = unexpected(answer)
	}
	return err
}

// ParkReport is the result of a draw.
type ParkReport struct {
	Queries     int
	Connections int
	FirstAnswer time.Duration // since the last FINISHED was sent
	LastAnswer  time.Duration
}

// String returns the report for people to read.
func (r *ParkReport) String() string {
	return fmt.Sprintf("%d queries on %d connections: from the last FINISHED to the first answer %v, to the last one %v\n",
		r.Queries, r.Connections, r.FirstAnswer.Round(time.Microsecond), r.LastAnswer.Round(time.Microsecond))
}

// Draw ends the betting of all agencies, and returns when every query is
// answered.
func (p *Parked) Draw(ctx context.Context) (*ParkReport, error) {
	for i := range p.agencies - 1 {
		if err := p.ask(ctx, p.agency(i), &codec.Finished{Agency: p.name(i)}, codec.TypeSuccess); err != nil {
			return nil, fmt.Errorf("agency %d finishes: %w", p.agency(i), err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, p.Close)()
	var mu sync.Mutex
	var first, last time.Time
	for i := range p.conns {
		group.Go(func() error {
			early, late, err := p.collect(i)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if first.IsZero() || early.Before(first) {
				first = early
			}
			if late.After(last) {
				last = late
			}
			return nil
		})
	}
	begun := time.Now()
	group.Go(func() error {
		last := p.agencies - 1
		return p.ask(ctx, p.agency(last), &codec.Finished{Agency: p.name(last)}, codec.TypeSuccess)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	report := &ParkReport{Connections: len(p.conns), FirstAnswer: first.Sub(begun), LastAnswer: last.Sub(begun)}
	for _, n := range p.queries {
		report.Queries += n
	}
	return report, nil
}

// collect waits for the answers of connection i.
func (p *Parked) collect(i int) (first, last time.Time, err error) {
	a := answers{conn: p.conns[i]}
	for n := 0; n < p.queries[i]; {
		answer, err := a.next()
		if err != nil {
			return first, last, err
		}
		if first.IsZero() {
			first = time.Now()
		}
		switch answer.Type {
		case codec.TypeWinnersPart: // of several; the last one is WINNERS
		case codec.TypeWinners:
			n++
		default:
			return first, last, unexpected(answer)
		}
	}
	return first, time.Now(), nil
}

// Close closes all connections.
func (p *Parked) Close() {
	for _, conn := range p.conns {
		if conn != nil {
			conn.Close()
		}
	}
}

// answers reads the frames of one connection.
type answers struct {
	conn    net.Conn
	decoder codec.Decoder
	buffer  [512]byte
	data    []byte // read, not decoded
}

func (a *answers) next() (codec.Frame, error) {
	for {
		frame, rest, ok, err := a.decoder.Next(a.data)
		if err != nil {
			return codec.Frame{}, err
		}
		a.data = rest
		if ok {
			return frame, nil
		}
		n, err := a.conn.Read(a.buffer[:])
		if err != nil {
			return codec.Frame{}, err
		}
		a.data = a.buffer[:n]
	}
}
