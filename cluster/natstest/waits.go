package natstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	waitTime  = 60 * time.Second       // for what a cluster does by itself
	askTime   = 2 * time.Second        // for one question to one server
	infoTime  = 500 * time.Millisecond // for a stream's info, which only a leader answers
	askAgain  = 25 * time.Millisecond  // between two questions
	maxAnswer = 4 << 20                // bytes of an answer from a monitoring port
)

// WaitReady waits until the meta leader is elected and knows every running
// server as current. Servers that are down, paused or isolated do not count.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	c.wait("a meta leader that knows every running server", c.ready)
}

func (c *Cluster) ready(ctx context.Context) error {
	reachable := c.reachable()
	if len(reachable) == 0 {
		return errors.New("no server runs")
	}
	var last error
	for _, i := range reachable {
		var info server.JSInfo
		if err := c.monitor(ctx, i, "/jsz", &info); err != nil {
			last = err
			continue
		}
		if len(c.servers) == 1 {
			return nil
		}
		if info.Meta == nil || info.Meta.Leader != c.Name(i) {
			continue
		}
		if info.Meta.Size != len(c.servers) {
			return fmt.Errorf("the meta group has %d servers, want %d", info.Meta.Size, len(c.servers))
		}
		for _, j := range reachable {
			if j != i && !slices.ContainsFunc(info.Meta.Replicas, func(p *server.PeerInfo) bool {
				return p.Name == c.Name(j) && p.Current && !p.Offline
			}) {
				return fmt.Errorf("the meta leader %s does not see %s as current", c.Name(i), c.Name(j))
			}
		}
		return nil
	}
	return errors.Join(errors.New("no meta leader"), last)
}

// monitor asks a server's monitoring port, and decodes the answer
// (https://docs.nats.io/running-a-nats-service/nats_admin/monitoring).
func (c *Cluster) monitor(ctx context.Context, i int, path string, into any) error {
	_, at, _ := c.servers[i].look()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.monitor+path, nil)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name(i), err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %s: %w", c.Name(i), path, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: status %s: %s", c.Name(i), path, response.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %s: %w", c.Name(i), path, err)
	}
	return nil
}

// StreamLeader waits until the stream has a leader, and returns its number; -1
// if the context ends first. It asks servers that are not isolated.
func (c *Cluster) StreamLeader(ctx context.Context, stream string) int {
	leader := -1
	poll(ctx, func(ctx context.Context) error {
		info, err := c.streamInfo(ctx, stream)
		if err != nil {
			return err
		}
		if leader = c.leader(info); leader < 0 {
			return errors.New("no leader")
		}
		return nil
	})
	return leader
}

// leader returns the number of the server that leads a stream, or -1.
func (c *Cluster) leader(info *jetstream.StreamInfo) int {
	if len(c.servers) == 1 {
		return 0
	}
	if info.Cluster == nil {
		return -1
	}
	return c.index(info.Cluster.Leader)
}

// index returns the number of the server with a name, or -1.
func (c *Cluster) index(name string) int {
	return slices.IndexFunc(c.servers, func(n *node) bool { return n.name == name })
}

// WaitCurrent waits until all replicas of the stream have all of it, and all
// of their servers run and know its leader.
func (c *Cluster) WaitCurrent(stream string) {
	c.t.Helper()
	c.wait("all replicas of "+stream+" current", func(ctx context.Context) error {
		info, err := c.streamInfo(ctx, stream)
		if err != nil {
			return err
		}
		leader := c.leader(info)
		if leader < 0 {
			return errors.New("no leader")
		}
		replicas := []int{leader}
		if info.Cluster != nil {
			for _, r := range info.Cluster.Replicas {
				if !r.Current || r.Offline || r.Lag > 0 {
					return fmt.Errorf("%s: current %t, offline %t, lag %d", r.Name, r.Current, r.Offline, r.Lag)
				}
				replicas = append(replicas, c.index(r.Name))
			}
		}
		if want := info.Config.Replicas; len(replicas) != want {
			return fmt.Errorf("%d replicas, want %d", len(replicas), want)
		}
		// For 2 s the leader still reports a dead server as current.
		for _, i := range replicas {
			if err := c.hasAll(ctx, i, stream, leader, info.State.LastSeq); err != nil {
				return err
			}
		}
		return nil
	})
}

// hasAll asks a server itself whether it has all of a stream.
func (c *Cluster) hasAll(ctx context.Context, i int, stream string, leader int, last uint64) error {
	if i < 0 || !c.Running(i) {
		return errors.New("a replica's server does not run")
	}
	var health server.HealthStatus
	if err := c.monitor(ctx, i, "/healthz", &health); err != nil {
		return err
	}
	var info server.JSInfo
	if err := c.monitor(ctx, i, "/jsz?accounts=true&streams=true", &info); err != nil {
		return err
	}
	for _, account := range info.AccountDetails {
		for _, s := range account.Streams {
			if s.Name != stream {
				continue
			}
			if len(c.servers) > 1 && (s.Cluster == nil || s.Cluster.Leader != c.Name(leader)) {
				return fmt.Errorf("%s does not follow %s", c.Name(i), c.Name(leader))
			}
			if s.State.LastSeq < last {
				return fmt.Errorf("%s is at %d of %d", c.Name(i), s.State.LastSeq, last)
			}
			return nil
		}
	}
	return fmt.Errorf("%s has no stream %s", c.Name(i), stream)
}

// MoveLeader makes a server the leader of a stream, once it has all of it: a
// handover to one that has not leaves the stream without a leader until the next
// election.
func (c *Cluster) MoveLeader(stream string, to int) {
	c.t.Helper()
	request := fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, c.Name(to))
	c.wait(c.Name(to)+" as the leader of "+stream, func(ctx context.Context) error {
		info, err := c.streamInfo(ctx, stream)
		if err != nil {
			return err
		}
		leader := c.leader(info)
		if leader == to {
			return nil
		}
		if leader < 0 {
			return errors.New("no leader")
		}
		if err := c.hasAll(ctx, to, stream, leader, info.State.LastSeq); err != nil {
			return err
		}
		err = c.ask(ctx, leader, func(ctx context.Context, conn *nats.Conn) error {
			reply, err := conn.RequestWithContext(ctx, "$JS.API.STREAM.LEADER.STEPDOWN."+stream, request)
			if err != nil {
				return err
			}
			var answer struct{ Error *jetstream.APIError }
			if err := json.Unmarshal(reply.Data, &answer); err != nil {
				return err
			}
			if answer.Error != nil {
				return answer.Error
			}
			return nil
		})
		return errors.Join(fmt.Errorf("the leader is %s", c.Name(leader)), err)
	})
}

// streamInfo asks the reachable servers, one after the other.
func (c *Cluster) streamInfo(ctx context.Context, stream string) (*jetstream.StreamInfo, error) {
	last := errors.New("no server runs")
	for _, i := range c.reachable() {
		var info *jetstream.StreamInfo
		last = c.ask(ctx, i, func(ctx context.Context, conn *nats.Conn) error {
			js, err := jetstream.New(conn)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, infoTime)
			defer cancel()
			s, err := js.Stream(ctx, stream)
			if err != nil {
				return err
			}
			info = s.CachedInfo()
			return nil
		})
		if last == nil {
			return info, nil
		}
	}
	return nil, last
}

// ask connects to a server, past the proxies, for one question.
func (c *Cluster) ask(ctx context.Context, i int, question func(context.Context, *nats.Conn) error) error {
	_, at, _ := c.servers[i].look()
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	conn, err := nats.Connect("nats://"+at.client, nats.UserInfo(operator, operatorPass), nats.Timeout(askTime), nats.NoReconnect())
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name(i), err)
	}
	defer conn.Close()
	if err := question(ctx, conn); err != nil {
		return fmt.Errorf("%s: %w", c.Name(i), err)
	}
	return nil
}

// reachable returns the servers that run and are not isolated; if there are
// none, those that run.
func (c *Cluster) reachable() []int {
	var all, connected []int
	for i, n := range c.servers {
		s, _, isolated := n.look()
		if s != running {
			continue
		}
		all = append(all, i)
		if isolated == 0 {
			connected = append(connected, i)
		}
	}
	if len(connected) > 0 {
		return connected
	}
	return all
}

// wait fails the test if something does not happen in time.
func (c *Cluster) wait(what string, try func(context.Context) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTime)
	defer cancel()
	if err := poll(ctx, try); err != nil {
		c.t.Fatalf("waiting for %s, %v long: %v", what, waitTime, err)
	}
}

// poll tries until there is no error, or returns the last one when the context
// ends. NATS does not announce these events, so it must be asked.
func poll(ctx context.Context, try func(context.Context) error) error {
	ticker := time.NewTicker(askAgain)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}
