package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"loteria/bench/generator"
	"loteria/bench/process"
	"loteria/bench/report"
	"loteria/cluster/bench/servers"
)

const (
	settled = 3 * time.Second // after which a disaster has no further effect
	dark    = 2 * time.Second // without a quorum

	// attempt is how long a central waits for a reply before it publishes the
	// message again, and spare how long that takes: a lost acknowledgement costs
	// both.
	attempt = 1500 * time.Millisecond
	spare   = 200 * time.Millisecond
)

// disaster is one way to end a server. It leaves all servers running.
type disaster struct {
	name        string
	most        time.Duration // goal for the longest pause
	median      time.Duration // goal for the median, or 0
	strike      func(*strike) (time.Duration, error)
	pauses      []time.Duration
	reconnected int
}

// strike is where a disaster happens.
type strike struct {
	contest          *contest
	servers          *servers.Servers
	pulse            *pulse
	leader, follower int
	round            int
}

// pauses measures the longest pause between acknowledgements to any of five
// agencies in lock-step.
func pauses(l *lab) ([]row, error) {
	disasters := []*disaster{
		{name: "the leader is killed", most: 10 * time.Second, median: 6 * time.Second, strike: func(s *strike) (time.Duration, error) {
			return s.without(s.leader, s.servers.Kill)
		}},
		{name: "SIGTERM to the leader", most: attempt + spare, strike: func(s *strike) (time.Duration, error) {
			return s.without(s.leader, s.servers.Stop)
		}},
		{name: "a follower is killed", most: attempt + spare, strike: func(s *strike) (time.Duration, error) {
			return s.without(s.follower, s.servers.Kill)
		}},
		{name: "one of two killed servers is back, until all are acknowledged", most: 10 * time.Second, strike: (*strike).quorumBack},
	}
	err := l.onContest(pulseAgencies, func(c *contest) error {
		return c.withCentral(c.servers.URLs(), func(central *process.Server, _ string) error {
			p, err := startPulse(l.Ctx, &generator.Central{Address: central.Address})
			if err != nil {
				return err
			}
			defer p.stop()
			for round := range l.kills {
				for _, d := range disasters {
					fmt.Fprintf(l.News, "pauses, %s, %d of %d\n", d.name, round+1, l.kills)
					if err := d.happen(c, p, round); err != nil {
						return fmt.Errorf("%s: %w", d.name, err)
					}
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, d := range disasters {
		most, median := slices.Max(d.pauses), report.Median(d.pauses)
		what := fmt.Sprintf("pause of acknowledgements, %s: longest of %d", d.name, len(d.pauses))
		beside := fmt.Sprintf("least %s, median %s; agencies had to connect anew %d times", seconds(slices.Min(d.pauses)), seconds(median), d.reconnected)
		rows = append(rows, verdict(what, "≤ "+seconds(d.most), seconds(most), beside, within(d.most, most)))
		if d.median > 0 {
			rows = append(rows, verdict("the same: median", "≤ "+seconds(d.median), seconds(median), "", within(d.median, median)))
		}
	}
	return rows, nil
}

// happen makes the disaster happen once, when all is well.
func (d *disaster) happen(c *contest, p *pulse, round int) error {
	if err := c.servers.WaitCurrent(c.stream); err != nil {
		return err
	}
	if err := p.awaitAll(c.lab.Ctx, time.Now()); err != nil {
		return err
	}
	leader, err := c.servers.Leader(c.stream)
	if err != nil {
		return err
	}
	follower := (leader + 1 + round%(servers.Count-1)) % servers.Count
	s := &strike{contest: c, servers: c.servers, pulse: p, leader: leader, follower: follower, round: round}
	p.note()
	pause, err := d.strike(s)
	if err != nil {
		return err
	}
	d.pauses = append(d.pauses, pause)
	d.reconnected += p.comings()
	return nil
}

// without ends a server until the pause is over.
func (s *strike) without(server int, end func(int) error) (time.Duration, error) {
	if err := end(server); err != nil {
		return 0, err
	}
	if err := s.pulse.awaitAll(s.contest.lab.Ctx, time.Now().Add(settled)); err != nil {
		return 0, err
	}
	return s.pulse.longest(), s.servers.Restart(server)
}

// quorumBack kills two servers, and restarts the leader or, in odd rounds, the
// follower.
func (s *strike) quorumBack() (time.Duration, error) {
	if err := errors.Join(s.servers.Kill(s.follower), s.servers.Kill(s.leader)); err != nil {
		return 0, err
	}
	select {
	case <-s.contest.lab.Ctx.Done():
		return 0, s.contest.lab.Ctx.Err()
	case <-time.After(dark):
	}
	back, later := s.leader, s.follower
	if s.round%2 == 1 {
		back, later = later, back
	}
	s.pulse.note()
	begun := time.Now()
	if err := s.servers.Restart(back); err != nil {
		return 0, err
	}
	if err := s.pulse.awaitAll(s.contest.lab.Ctx, begun); err != nil {
		return 0, err
	}
	return s.pulse.firstOfAll(), s.servers.Restart(later)
}
