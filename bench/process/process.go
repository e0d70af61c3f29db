// Package process runs servers to be measured, each in its own process.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"loteria/internal/process"
)

const (
	readyTime = 60 * time.Second // until a server is ready
	stopTime  = 30 * time.Second // until it has ended
)

// Server is a server's process.
type Server struct {
	*process.Process
	// Address is where it listens, if ready returned that.
	Address string
	// Started is how long it took to become ready.
	Started time.Duration
}

// Ready tells from a server's log whether it is ready, and where it listens.
type Ready func(log []byte) (address string, ok bool)

// Logs returns a Ready that waits for the pattern in the log. The address is the
// pattern's first group, if it has any.
func Logs(pattern string) Ready {
	line := regexp.MustCompile(pattern)
	return func(log []byte) (string, bool) {
		found := line.FindSubmatch(log)
		if len(found) < 2 {
			return "", found != nil
		}
		return string(found[1]), true
	}
}

// Start starts the command in its folder, which also gets its log, and returns
// when it is ready.
func Start(cmd *exec.Cmd, ready Ready) (*Server, error) {
	begun := time.Now()
	p, err := process.Start(cmd, filepath.Base(cmd.Path))
	if err != nil {
		return nil, err
	}
	s := &Server{Process: p}
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	err = p.Await(ctx, func(log []byte) (ok bool) {
		s.Address, ok = ready(log)
		return ok
	})
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("%w, its log ends with\n%s", err, p.Tail())
	}
	s.Started = time.Since(begun)
	return s, nil
}

// Stop ends the server as an operator would.
func (s *Server) Stop() error { return process.Stop(stopTime, s.Process) }

// Kill ends the server at once. The error is always nil.
func (s *Server) Kill() error {
	s.Process.Kill()
	return nil
}

// Memory returns the server's peak resident memory, in bytes.
func (s *Server) Memory() (int, error) { return s.memory("VmHWM") }

// Resident returns the server's resident memory now, in bytes.
func (s *Server) Resident() (int, error) { return s.memory("VmRSS") }

// memory returns a size from proc_pid_status(5).
func (s *Server) memory(key string) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			kibibytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return kibibytes << 10, err
		}
	}
	return 0, errors.New("the kernel does not say how much memory the server has")
}

// clockTicks is the unit of a process's times in /proc, per second. It is 100
// for every program on Linux (proc_pid_stat(5), times(2)).
const clockTicks = 100

// CPU returns the processor time that the server has used.
func (s *Server) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.PID()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("the kernel does not say how much time the server has used")
	}
	var ticks int
	for _, value := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / clockTicks), nil
}

// inFolder are the arguments of a central that keeps its contest in its working
// folder.
var inFolder = []string{"--storage-dir", ".", "--contest=", "--admin="}

// StartCentral starts bin/server in the folder.
func StartCentral(ctx context.Context, bin, folder string, agencies int) (*Server, error) {
	return startCentral(ctx, bin, folder, agencies, "0", listens, inFolder...)
}

// StartShownCentral starts bin/server in the folder, with an admin port.
func StartShownCentral(ctx context.Context, bin, folder string, agencies int) (s *Server, admin string, err error) {
	return startShown(ctx, bin, folder, agencies, inFolder...)
}

// StartClusterCentral starts bin/server on a contest that NATS servers keep,
// with an admin port that has Go's profiles. Its log is in the folder.
func StartClusterCentral(ctx context.Context, bin, folder string, agencies int, servers []string, contest string) (s *Server, admin string, err error) {
	return startShown(ctx, bin, folder, agencies, "--ledger", strings.Join(servers, ","), "--contest", contest, "--admin-pprof")
}

// StartTLSCentral starts bin/server in the folder, with a TLS port beside the
// plain one. args name its certificate.
func StartTLSCentral(ctx context.Context, bin, folder string, agencies int, args ...string) (s *Server, tls string, err error) {
	s, err = startCentral(ctx, bin, folder, agencies, "0", func(log []byte) (address string, ok bool) {
		address, listening := listens(log)
		tls, ok = listensTLS(log)
		return address, ok && listening
	}, append(slices.Clone(inFolder), args...)...)
	return s, tls, err
}

// StartQuietCentral starts bin/server in the folder, logging errors only.
func StartQuietCentral(ctx context.Context, bin, folder string, agencies int) (*Server, error) {
	// It does not even log where it listens, so the port is chosen here.
	addresses, err := process.FreeAddresses(1)
	if err != nil {
		return nil, err
	}
	address := addresses[0]
	answers := func([]byte) (string, bool) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return "", false
		}
		conn.Close()
		return address, true
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return startCentral(ctx, bin, folder, agencies, port, answers, append(slices.Clone(inFolder), "--log-level", "ERROR")...)
}

// What a central logs when it takes connections.
var (
	listens    = Logs(`action: listen \| result: success \| address: (\S+)\n`)
	listensTLS = Logs(`action: listen \| result: success \| address: (\S+) \| tls: true`)
	shows      = Logs(`action: admin_listen \| result: success \| address: (\S+)`)
)

func startShown(ctx context.Context, bin, folder string, agencies int, args ...string) (s *Server, admin string, err error) {
	s, err = startCentral(ctx, bin, folder, agencies, "0", func(log []byte) (address string, ok bool) {
		address, listening := listens(log)
		admin, ok = shows(log)
		return address, ok && listening
	}, append(slices.Clone(args), "--admin", "127.0.0.1:0")...)
	return s, admin, err
}

func startCentral(ctx context.Context, bin, folder string, agencies int, port string, ready Ready, args ...string) (*Server, error) {
	args = append([]string{"--bind", "127.0.0.1", "--port", port,
		"--expected-agencies", strconv.Itoa(agencies),
		// All agencies share one address; the default may be too low.
		"--max-connections-per-address", "1000000",
		// The generator connects as fast as it can. A connection that does not
		// fit the backlog is only retried a second later.
		"--listen-backlog", "4096"}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "server"), args...)
	cmd.Dir = folder
	return Start(cmd, ready)
}
