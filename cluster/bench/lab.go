package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"loteria/bench/generator"
	"loteria/bench/process"
	"loteria/cluster/bench/servers"
	"loteria/lottery/natsledger"
)

const (
	batchSize = 100              // bets
	openTime  = 30 * time.Second // for opening a contest
	maxScale  = 1000
)

// lab is where the goals are measured.
type lab struct {
	ctx      context.Context
	bin      string // folder of the programs
	before   string // of an older server; may be empty
	config   string // of the NATS servers
	folder   string // on the disk that is measured
	profiles string // folder for CPU profiles; may be empty
	news     io.Writer
	rounds   int           // of each measurement
	kills    int           // of each kind
	scale    int           // divides what is stored
	duration time.Duration // of each load

	servers  *servers.Servers // nil until needed
	stores   string           // their folder
	contests int              // so far
}

// cluster returns the NATS servers, which the first call starts.
func (l *lab) cluster() (*servers.Servers, error) {
	if l.servers != nil {
		return l.servers, nil
	}
	stores, err := os.MkdirTemp(l.folder, "nats-")
	if err != nil {
		return nil, err
	}
	l.stores = stores
	l.servers, err = servers.Start(l.ctx, filepath.Join(l.bin, "nats-server"), l.config, stores)
	return l.servers, err
}

// close ends the servers, and removes what they have stored.
func (l *lab) close() (err error) {
	if l.servers != nil {
		err = l.servers.Close()
	}
	if l.stores != "" {
		err = errors.Join(err, os.RemoveAll(l.stores))
	}
	return err
}

// contest is a contest on the NATS servers.
type contest struct {
	lab      *lab
	servers  *servers.Servers
	name     string
	stream   string
	agencies int
}

// The server that a measured publisher connects to, and the one that leads its
// stream. They differ, as for two of three centrals, and must not change from one
// round to the next.
const (
	entrance = 0
	leading  = 1
)

// onContest calls do with a new contest, which is deleted afterwards.
func (l *lab) onContest(agencies int, do func(*contest) error) error {
	s, err := l.cluster()
	if err != nil {
		return err
	}
	l.contests++
	c := &contest{lab: l, servers: s, name: fmt.Sprintf("bench-%d", l.contests), agencies: agencies}
	ledger, err := c.open() // its stream has a central's settings
	if err != nil {
		return err
	}
	c.stream = ledger.Stream()
	err = ledger.Close()
	if err == nil {
		err = s.Lead(c.stream, leading)
	}
	if err == nil {
		err = do(c)
	}
	return errors.Join(err, s.Delete(c.stream))
}

// open opens the contest's ledger.
func (c *contest) open() (*natsledger.Ledger, error) {
	ctx, cancel := context.WithTimeout(c.lab.ctx, openTime)
	defer cancel()
	return natsledger.Open(ctx, natsledger.Config{
		Servers: c.servers.Addresses(), Contest: c.name, Agencies: c.agencies, Central: "bench", Log: zerolog.Nop(),
	})
}

// withCentral calls do with a central on the contest that connects to the
// servers at these URLs.
func (c *contest) withCentral(urls []string, do func(s *process.Server, admin string) error) error {
	return c.lab.inFolder(func(folder string) error {
		s, admin, err := process.StartClusterCentral(c.lab.ctx, c.lab.bin, folder, c.agencies, urls, c.name)
		if err != nil {
			return err
		}
		return end(s, do(s, admin))
	})
}

// withFolder calls do with a central of the programs in bin, on a folder.
func (l *lab) withFolder(bin string, agencies int, do func(*process.Server) error) error {
	return l.inFolder(func(folder string) error {
		s, err := process.StartCentral(l.ctx, bin, folder, agencies)
		if err != nil {
			return err
		}
		return end(s, do(s))
	})
}

// end stops the server, or kills it if err is not nil.
func end(s *process.Server, err error) error {
	if err != nil {
		return errors.Join(err, s.Kill())
	}
	return s.Stop()
}

// inFolder calls do with a folder that it may fill.
func (l *lab) inFolder(do func(folder string) error) error {
	folder, err := os.MkdirTemp(l.folder, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	return do(folder)
}

// load sends bets to the target for a time.
func (l *lab) load(target generator.Target, connections, window int) (*generator.Report, error) {
	return generator.Run(l.ctx, target, generator.Config{
		Connections: connections, Agencies: connections, Window: window, BatchSize: batchSize,
		Warmup: l.duration / 4, Duration: l.duration,
	})
}

// repeat calls measure in rounds, and reports each one.
func (l *lab) repeat(what string, measure func() error) error {
	for i := range l.rounds {
		fmt.Fprintf(l.news, "%s, round %d of %d\n", what, i+1, l.rounds)
		if err := l.ctx.Err(); err != nil {
			return err
		}
		if err := measure(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}
