package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"loteria/bench/measure"
	"loteria/bench/process"
	"loteria/cluster/bench/servers"
	"loteria/lottery/natsledger"
)

const (
	batchSize = measure.BatchSize
	openTime  = 30 * time.Second // for opening a contest
	maxScale  = 1000
)

// lab is where the goals are measured.
type lab struct {
	measure.Lab
	before   string // folder of an older server; may be empty
	config   string // of the NATS servers
	profiles string // folder for CPU profiles; may be empty
	kills    int    // of each kind
	scale    int    // divides what is stored

	servers  *servers.Servers // nil until needed
	stores   string           // their folder
	contests int              // so far
}

// cluster returns the NATS servers, which the first call starts.
func (l *lab) cluster() (*servers.Servers, error) {
	if l.servers != nil {
		return l.servers, nil
	}
	stores, err := os.MkdirTemp(l.Folder, "nats-")
	if err != nil {
		return nil, err
	}
	l.stores = stores
	l.servers, err = servers.Start(l.Ctx, filepath.Join(l.Bin, "nats-server"), l.config, stores)
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
	ctx, cancel := context.WithTimeout(c.lab.Ctx, openTime)
	defer cancel()
	return natsledger.Open(ctx, natsledger.Config{
		Servers: c.servers.Addresses(), Contest: c.name, Agencies: c.agencies, Central: "bench", Log: zerolog.Nop(),
	})
}

// withCentral calls do with a central on the contest that connects to the
// servers at these URLs.
func (c *contest) withCentral(urls []string, do func(s *process.Server, admin string) error) error {
	return c.lab.InFolder(func(folder string) error {
		s, admin, err := process.StartClusterCentral(c.lab.Ctx, c.lab.Bin, folder, c.agencies, urls, c.name)
		if err != nil {
			return err
		}
		return measure.End(s, do(s, admin))
	})
}

// withFolder calls do with a central of the programs in bin, on a folder.
func (l *lab) withFolder(bin string, agencies int, do func(*process.Server) error) error {
	return l.InFolder(func(folder string) error {
		s, err := process.StartCentral(l.Ctx, bin, folder, agencies)
		if err != nil {
			return err
		}
		return measure.End(s, do(s))
	})
}
