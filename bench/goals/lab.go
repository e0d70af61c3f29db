package main

import (
	"syscall"

	"loteria/bench/generator"
	"loteria/bench/measure"
	"loteria/bench/process"
)

// The load of the goals.
const (
	agencies  = 5
	batchSize = measure.BatchSize
	window    = 128 // batches of an agency that wait for their answer
)

// maxScale leaves each of the many one at least.
const maxScale = 1000

// lab is where the goals are measured.
type lab struct {
	measure.Lab
	data string // folder of the agencies
	// connected is how many agencies connect over TLS to measure their memory.
	connected int
	scale     int // divides what there is many of

	stored string // folder of a contest with manyBets; empty until needed
}

// withCentral calls do with a fresh central.
func (l *lab) withCentral(agencies int, do func(*process.Server) error) error {
	return l.InFolder(func(folder string) error { return l.withCentralIn(folder, agencies, do) })
}

func (l *lab) withCentralIn(folder string, agencies int, do func(*process.Server) error) error {
	c, err := process.StartCentral(l.Ctx, l.Bin, folder, agencies)
	if err != nil {
		return err
	}
	return measure.End(c, do(c))
}

// affordable returns how many of the wanted connections the limit of open files
// allows, here and in a central, which has the same limit.
func affordable(wanted int) (int, error) {
	const spare = 500 // other descriptors of each of the two processes
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return min(wanted, max(int(limit.Cur)-spare, 1)), nil
}

// load sends bets to the central for a time.
func (l *lab) load(c *process.Server, connections, window int) (*generator.Report, error) {
	return l.Load(&generator.Central{Address: c.Address}, connections, window)
}

// send sends that many bets to the central at the address, in windows.
func (l *lab) send(address string, bets int64) (*generator.Report, error) {
	return generator.Run(l.Ctx, &generator.Central{Address: address}, generator.Config{
		Connections: agencies, Agencies: agencies, Window: window, BatchSize: batchSize, Bets: bets,
	})
}
