package main

import (
	"context"
	"os/exec"

	"loteria/bench/generator"
	"loteria/bench/peers/jetstream"
	"loteria/bench/peers/postgres"
	"loteria/bench/peers/redis"
	"loteria/bench/process"
)

// peer is a server that is measured: the central, or what could take its place.
type peer struct {
	name    string // by which it is chosen
	title   string
	durable string // what an acknowledgement means
	forks   bool   // it has processes of its own, whose processor time is not counted
	// find returns how to start it, or why it cannot be measured on this machine.
	find func(*comparison) (starter, error)
}

func (p peer) key() string { return p.name }

// starter starts a peer that keeps its bets in the folder.
type starter func(ctx context.Context, folder string) (*process.Server, generator.Target, error)

// The names of those that others are compared with.
const (
	central        = "central"
	beforeName     = "before"
	quietName      = "quiet"
	goroutinesName = "goroutines"
	redisName      = "redis"
)

// allPeers are in the order of the table.
var allPeers = []peer{
	{name: central, title: "the central", durable: "synced, and logged", find: startsCentral(process.StartCentral, inBin)},
	{name: beforeName, title: "the central of --before", durable: "synced, and logged", find: startsCentral(process.StartCentral, inBefore)},
	{name: quietName, title: "the central, with only errors in its log", durable: "synced", find: startsCentral(process.StartQuietCentral, inBin)},
	{name: goroutinesName, title: "goroutines: the same ledger and log, package net", durable: "synced, and logged", find: serves("goroutines", dial)},
	{name: "simple", title: "simple: one lock, encoding/csv", durable: "not synced", find: serves("simple", dial)},
	{name: "jetstream", title: "NATS JetStream, sync always", durable: "synced",
		find: serves("jetstream", func(url string) generator.Target { return &jetstream.Target{URL: url} })},
	{name: redisName, title: "Redis stream, appendfsync always", durable: "synced", find: findRedis},
	{name: "postgres", title: "PostgreSQL, COPY per batch", durable: "synced", forks: true, find: findPostgres},
}

func dial(address string) generator.Target { return &generator.Central{Address: address} }

func inBin(c *comparison) string    { return c.Bin }
func inBefore(c *comparison) string { return c.before }

// startsCentral is for a central whose program is in the folder that bin returns.
func startsCentral(start func(ctx context.Context, bin, folder string, agencies int) (*process.Server, error), bin func(*comparison) string) func(*comparison) (starter, error) {
	return func(c *comparison) (starter, error) {
		return func(ctx context.Context, folder string) (*process.Server, generator.Target, error) {
			s, err := start(ctx, bin(c), folder, agencies)
			if err != nil {
				return nil, nil, err
			}
			return s, dial(s.Address), nil
		}, nil
	}
}

// serves is for a peer that this program serves itself, in a process of its own.
func serves(name string, target func(address string) generator.Target) func(*comparison) (starter, error) {
	return func(c *comparison) (starter, error) {
		return func(ctx context.Context, folder string) (*process.Server, generator.Target, error) {
			cmd := exec.CommandContext(ctx, c.self, "--serve", name)
			cmd.Dir = folder
			s, err := process.Start(cmd, process.Logs(`serving on (\S+)`))
			if err != nil {
				return nil, nil, err
			}
			return s, target(s.Address), nil
		}, nil
	}
}

func findRedis(*comparison) (starter, error) {
	path, err := redis.Path()
	return func(ctx context.Context, folder string) (*process.Server, generator.Target, error) {
		s, socket, err := redis.Start(ctx, path, folder)
		return s, &redis.Target{Socket: socket}, err
	}, err
}

func findPostgres(c *comparison) (starter, error) {
	path, err := postgres.Path(c.Folder)
	return func(ctx context.Context, folder string) (*process.Server, generator.Target, error) {
		s, url, err := postgres.Start(ctx, path, folder)
		return s, &postgres.Target{URL: url}, err
	}, err
}

// load is what the agencies send: so many connections, each with so many batches
// that wait for their answer.
type load struct {
	name                string // by which it is chosen
	title               string
	connections, window int
}

func (l load) key() string { return l.name }

var allLoads = []load{
	{"1:1", "1 in lock-step", 1, 1},
	{"5:1", "5 in lock-step", 5, 1},
	{"5:64", "5 with 64 in flight", 5, 64},
	{"64:1", "64 in lock-step", 64, 1},
}

// aims are the central's goals beside another: at least that many times its rate,
// or 0 for no goal. An agency that is alone has another goal, in bench/goals.
var aims = []struct {
	of, to string
	least  float64
}{
	{central, goroutinesName, 1.05},
	{central, redisName, 1},
	{central, quietName, 0.97},
	{central, beforeName, 0},
	{beforeName, goroutinesName, 0},
}
