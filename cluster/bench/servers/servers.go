// Package servers runs three processes of the real nats-server to be measured.
// Unlike package natstest, it puts no proxies between them and their clients.
package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/bench/process"
	"loteria/cluster/natsserver"
	programs "loteria/internal/process"
)

// Count is how many servers there are.
const Count = 3

const (
	routesPass   = "routes-of-benchmarks"
	operator     = "operator"
	operatorPass = "operator-of-benchmarks"

	waitTime = 60 * time.Second // for what the servers do by themselves
	askTime  = 2 * time.Second  // for one question
	askAgain = 50 * time.Millisecond

	maxReason = 1 << 10 // bytes of an error text
)

// Servers are three NATS servers with JetStream, configured by
// deploy/nats/nats.conf: they sync always.
type Servers struct {
	ctx             context.Context
	program, config string
	nodes           [Count]node
	conn            *nats.Conn
	js              jetstream.JetStream // of an operator, who may move and delete streams
}

type node struct {
	name                     string
	folder                   string
	client, cluster, monitor string          // host:port
	process                  *process.Server // nil when down
}

// Start starts the servers, with the program and the configuration at these
// paths, and returns when they are ready for streams. They store everything in
// the folder, which must be empty. They are killed when ctx is done.
func Start(ctx context.Context, program, config, folder string) (*Servers, error) {
	s := &Servers{ctx: ctx, program: program, config: config}
	ports, err := programs.FreeAddresses(3 * Count)
	if err != nil {
		return nil, err
	}
	for i := range s.nodes {
		name := fmt.Sprintf("nats-%d", i+1)
		s.nodes[i] = node{name: name, folder: filepath.Join(folder, name), client: ports[3*i], cluster: ports[3*i+1], monitor: ports[3*i+2]}
		if err := os.Mkdir(s.nodes[i].folder, 0o755); err != nil {
			return nil, err
		}
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Servers) start() (err error) {
	for i := range s.nodes {
		if err := s.Restart(i); err != nil {
			return err
		}
	}
	s.conn, err = nats.Connect(strings.Join(s.URLs(), ","), nats.UserInfo(operator, operatorPass),
		nats.MaxReconnects(-1), nats.ReconnectWait(askAgain), nats.ReconnectJitter(askAgain, askAgain), nats.Timeout(askTime))
	if err != nil {
		return err
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return err
	}
	return s.wait("JetStream", func(ctx context.Context) error {
		_, err := s.js.AccountInfo(ctx)
		return err
	})
}

// URLs returns the servers' URLs for a central, whose user needs no name.
func (s *Servers) URLs() (urls []string) {
	for i := range s.nodes {
		urls = append(urls, "nats://"+s.nodes[i].client)
	}
	return urls
}

// Addresses returns the same as host:port.
func (s *Servers) Addresses() (addresses []string) {
	for i := range s.nodes {
		addresses = append(addresses, s.nodes[i].client)
	}
	return addresses
}

// Restart starts a server that is down, and returns when it accepts connections.
func (s *Servers) Restart(i int) (err error) {
	n := &s.nodes[i]
	var routes []string
	for j := range s.nodes {
		if j != i {
			routes = append(routes, s.nodes[j].cluster)
		}
	}
	cmd := natsserver.Command(s.ctx, s.program, s.config, natsserver.Settings{
		Name: n.name, Client: n.client, Monitor: n.monitor, Cluster: n.cluster, Routes: routes, Store: filepath.Join(n.folder, "store"),
		RoutesPassword: routesPass, OperatorPassword: operatorPass,
	})
	cmd.Dir = n.folder
	if n.process, err = process.Start(cmd, process.Logs(`Server is ready`)); err != nil {
		return fmt.Errorf("%s: %w", n.name, err)
	}
	return nil
}

// OnEnd calls back when a server has ended by itself.
func (s *Servers) OnEnd(early func(error)) {
	for i := range s.nodes {
		s.nodes[i].process.OnEnd(func(f *programs.Failure) { early(fmt.Errorf("%s: %w", s.nodes[i].name, f)) })
	}
}

// Kill ends a server with SIGKILL.
func (s *Servers) Kill(i int) error {
	p := s.nodes[i].process
	s.nodes[i].process = nil
	return p.Kill()
}

// Stop ends a server with SIGTERM, and returns when it has ended.
func (s *Servers) Stop(i int) error {
	p := s.nodes[i].process
	s.nodes[i].process = nil
	return p.Stop()
}

// Close ends all servers.
func (s *Servers) Close() (err error) {
	if s.conn != nil {
		s.conn.Close()
	}
	for i := range s.nodes {
		if s.nodes[i].process != nil {
			err = errors.Join(err, s.Kill(i))
		}
	}
	return err
}

// Leader waits until the stream has a leader, and returns its number.
func (s *Servers) Leader(stream string) (leader int, err error) {
	err = s.wait("a leader of "+stream, func(ctx context.Context) error {
		leader, err = s.leader(ctx, stream)
		return err
	})
	return leader, err
}

func (s *Servers) leader(ctx context.Context, stream string) (int, error) {
	info, err := s.info(ctx, stream)
	if err != nil {
		return 0, err
	}
	leader := slices.IndexFunc(s.nodes[:], func(n node) bool { return info.Cluster != nil && n.name == info.Cluster.Leader })
	if leader < 0 || s.nodes[leader].process == nil {
		return 0, errors.New("it has no leader")
	}
	return leader, nil
}

func (s *Servers) info(ctx context.Context, stream string) (*jetstream.StreamInfo, error) {
	found, err := s.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	return found.CachedInfo(), nil
}

// Lead makes a server the leader of a stream.
func (s *Servers) Lead(stream string, i int) error {
	request := fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, s.nodes[i].name)
	return s.wait(s.nodes[i].name+" as the leader of "+stream, func(ctx context.Context) error {
		leader, err := s.leader(ctx, stream)
		if err != nil || leader == i {
			return err
		}
		if _, err := s.conn.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, request); err != nil {
			return err
		}
		return fmt.Errorf("the leader is %s", s.nodes[leader].name)
	})
}

// WaitCurrent waits until all servers run and have all of the stream.
func (s *Servers) WaitCurrent(stream string) error {
	return s.wait("all replicas of "+stream+" to be current", func(ctx context.Context) error {
		for i := range s.nodes {
			if err := s.healthy(ctx, i); err != nil {
				return err
			}
		}
		info, err := s.info(ctx, stream)
		if err != nil {
			return err
		}
		if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != Count-1 {
			return fmt.Errorf("the stream's servers are %+v, expected a leader and %d others", info.Cluster, Count-1)
		}
		for _, r := range info.Cluster.Replicas {
			if !r.Current || r.Offline {
				return fmt.Errorf("%s is %d operations behind", r.Name, r.Lag)
			}
		}
		return nil
	})
}

// healthy asks a server whether it has caught up with all of its streams
// (https://docs.nats.io/running-a-nats-service/nats_admin/monitoring).
func (s *Servers) healthy(ctx context.Context, i int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.nodes[i].monitor+"/healthz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(response.Body, maxReason)) // or a part of it
		return fmt.Errorf("%s is not healthy: %s %s", s.nodes[i].name, response.Status, why)
	}
	return nil
}

// Delete deletes a stream.
func (s *Servers) Delete(stream string) error {
	return s.wait("the end of "+stream, func(ctx context.Context) error {
		err := s.js.DeleteStream(ctx, stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		return err
	})
}

// wait tries until there is no error, for at most waitTime.
func (s *Servers) wait(what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(s.ctx, waitTime)
	defer cancel()
	for {
		once, cancel := context.WithTimeout(ctx, askTime)
		err := try(once)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, err)
		case <-time.After(askAgain):
		}
	}
}
