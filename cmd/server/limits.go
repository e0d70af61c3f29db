package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"loteria/cmd/internal/admin"
)

// ownFiles is how many descriptors the central needs besides its connections: the
// ledger, the log, the ports that it listens on, the files of TLS while they are
// read, connections on their way to a loop, which have up to three (64 at most), and
// those of the admin port and of the control socket. A handshake counts as a connection.
// loopFiles is what an event loop needs.
const (
	ownFiles  = 64 + 2*64 + admin.MaxConnections + maxControls
	loopFiles = 2
)

// limitConnections returns how many of the wanted connections fit the limit of open
// files, besides that many event loops. Otherwise an accept could fail for lack of
// a descriptor, and nobody would be told why. Go has already raised the soft limit
// to the hard one (https://go.dev/doc/go1.19#os).
func limitConnections(wanted, loops int) (int, error) {
	own := uint64(ownFiles + loopFiles*loops)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("find the limit of open files: %w", err)
	}
	if limit.Cur <= 2*own {
		return 0, fmt.Errorf("the limit of open files is %d, the central needs more than %d", limit.Cur, 2*own)
	}
	room := limit.Cur - own
	if uint64(wanted) <= room {
		return wanted, nil
	}
	return int(room), nil
}

// limitPerAddress returns how many of the connections one address may have: as
// configured, except that the default is at most a quarter when there may be
// fewer connections than wanted.
func limitPerAddress(configured, connections, wanted int) int {
	if configured == perAddress && connections < wanted {
		return min(configured, max(connections/4, 1))
	}
	return configured
}

// limitHandshakes returns how many of the connections may be in their handshake: as
// configured, except that the default leaves room for others where there may be few
// connections.
func limitHandshakes(configured, connections int) int {
	if configured == maxHandshakes {
		return min(configured, max(connections/4, 1))
	}
	return configured
}

// spareProcessors is how many processors Go's scheduler gets beyond the cores:
// event loops and the leader of a commit are mostly in system calls, and each keeps
// a processor until the scheduler notices. With two cores the agencies' bets would
// have to wait for that.
const spareProcessors = 2

// useProcessors adds the spare ones, unless GOMAXPROCS is set.
func useProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcessors)
	}
}
