package main

import (
	"fmt"
	"syscall"
)

// ownFiles is how many descriptors the central needs beside its connections:
// the ledger, the log, the event loops, and a few connections that are
// accepted and refused at once.
const ownFiles = 64

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
