package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"loteria/admin"
)

// ownFiles is how many descriptors the central needs beside its connections:
// the ledger, the log, the event loops, a few connections that are accepted and
// refused at once, and those of the admin port.
const ownFiles = 64 + admin.MaxConnections

// limitConnections returns how many of the wanted connections the limit of
// open files has room for. It must never be reached: an accept that fails for
// want of a descriptor ends gnet's event loop. Go has raised the soft limit to
// the hard one already (https://go.dev/doc/go1.19#os).
func limitConnections(wanted int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("find the limit of open files: %w", err)
	}
	if limit.Cur <= 2*ownFiles {
		return 0, fmt.Errorf("the limit of open files is %d, the central needs more than %d", limit.Cur, 2*ownFiles)
	}
	room := limit.Cur - ownFiles
	if uint64(wanted) <= room {
		return wanted, nil
	}
	return int(room), nil
}

// spareProcessors is how many goroutines may run beyond what there are cores:
// the event loop and the ledger's writer are in a system call most of the time,
// and each takes a processor of Go's scheduler along until that notices. With
// two cores the agencies' bets would have to wait for it.
const spareProcessors = 2

// useProcessors has the spare ones, unless GOMAXPROCS says how many there are
// to be.
func useProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcessors)
	}
}
