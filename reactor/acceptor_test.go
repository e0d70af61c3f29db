package reactor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// failingListener is a listener whose first accepts fail.
type failingListener struct {
	net.Listener
	failures atomic.Int32 // that are still to come
	accepts  atomic.Int32
	err      error
}

func (l *failingListener) Accept() (net.Conn, error) {
	l.accepts.Add(1)
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", l.err)}
	}
	return l.Listener.Accept()
}

// listeners are the listeners of a central: the first fails as the test says.
type listeners struct {
	first   failingListener
	refused atomic.Int32 // how often a further listener is refused
	further atomic.Int32 // how often one was asked for
}

func (l *listeners) listen(address string, backlog int) (net.Listener, error) {
	if l.first.Listener != nil {
		defer l.further.Add(1)
		if l.refused.Add(-1) >= 0 {
			return nil, os.NewSyscallError("bind", unix.EADDRINUSE)
		}
		return listen(address, backlog)
	}
	var err error
	l.first.Listener, err = listen(address, backlog)
	return &l.first, err
}

// fail returns listeners of which the first fails that often.
func fail(failures int, err error) *listeners {
	l := &listeners{}
	l.first.failures.Store(int32(failures))
	l.first.err = err
	return l
}

const forGood = 1 << 30

func TestAcceptFails(t *testing.T) {
	for what, test := range map[string]struct {
		listeners *listeners
		further   int32 // how many listeners that brings
		pauses    []string
	}{
		"no descriptor in the system":  {fail(3, unix.ENFILE), 0, []string{"5ms", "10ms", "20ms"}},
		"no descriptor in the process": {fail(2, unix.EMFILE), 0, []string{"5ms", "10ms"}},
		"no memory":                    {fail(1, unix.ENOMEM), 0, []string{"5ms"}},
		"the protocol":                 {fail(1, unix.EPROTO), 0, []string{"5ms"}},
		"the network":                  {fail(1, unix.ENETDOWN), 0, []string{"5ms"}},
		"a firewall":                   {fail(1, unix.EPERM), 0, []string{"5ms"}},
		"for long": {
			fail(9, unix.ENFILE), 0,
			[]string{"5ms", "10ms", "20ms", "40ms", "80ms", "160ms", "320ms", "640ms", "1s"},
		},
		"for no known reason": {
			fail(forGood, unix.EPROTO), 1,
			[]string{"5ms", "10ms", "20ms", "40ms", "80ms", "160ms", "320ms", "640ms"},
		},
		"the listener is broken": {fail(forGood, unix.EINVAL), 1, []string{"5ms"}},
		"it is gone":             {fail(forGood, unix.EBADF), 1, []string{"5ms"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := startOn(t, 1, nil, nil, test.listeners.listen)
			// Connections that wait on a closed listener are reset.
			c.await("it listens again", func() bool { return test.listeners.further.Load() >= test.further })
			c.expectEcho("hola\n")
			c.ask(resumeFrame(1), pointFrame())

			if n := test.listeners.further.Load(); n != test.further {
				t.Errorf("it has listened %d times again, expected %d", n, test.further)
			}
			var pauses []string
			for _, e := range c.log.find(t, "accept_connection", "in_progress") {
				pauses = append(pauses, e["retry_in"].(string))
				if text, _ := e["error"].(string); !strings.Contains(text, test.listeners.first.err.Error()) {
					t.Errorf("the log has %v, expected %v", e, test.listeners.first.err)
				}
			}
			if fmt.Sprint(pauses) != fmt.Sprint(test.pauses) {
				t.Errorf("the pauses are %v, expected %v", pauses, test.pauses)
			}
			if failures := c.log.failures(t); len(failures) > 0 {
				t.Errorf("the log has %v", failures)
			}
		})
	}
}

// When a further listener is refused, too, the central tries again.
func TestListenAgainFails(t *testing.T) {
	l := fail(forGood, unix.EINVAL)
	l.refused.Store(2)
	leavesNothing(t, func(t *testing.T) {
		c := startOn(t, 1, nil, nil, l.listen)
		c.await("it listens again", func() bool { return l.further.Load() == 3 })
		c.expectEcho("hola\n")
		if n := len(c.log.find(t, "listen", "in_progress")); n != 2 {
			t.Errorf("%d tries to listen are in the log, expected 2", n)
		}
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A stop does not wait for the next try.
func TestStopWhileAcceptFails(t *testing.T) {
	for what, l := range map[string]*listeners{
		"descriptors are wanting": fail(forGood, unix.ENFILE),
		"there is no listener":    fail(forGood, unix.EINVAL),
	} {
		t.Run(what, func(t *testing.T) {
			l.refused.Store(forGood)
			leavesNothing(t, func(t *testing.T) {
				c := startOn(t, 1, nil, nil, l.listen)
				c.await("the pause is a long one", func() bool {
					return strings.Contains(c.log.String(), `"retry_in":"640ms"`)
				})
				before := l.first.accepts.Load() + l.further.Load()
				if err := c.stop(); err != nil {
					t.Error(err)
				}
				if after := l.first.accepts.Load() + l.further.Load(); after != before {
					t.Errorf("it was tried %d times after the stop", after-before)
				}
			})
		})
	}
}

// listenVariable tells a process of the test binary where to listen, and to report
// the outcome.
const listenVariable = "REACTOR_TEST_LISTEN"

func listenInProcess(address string) {
	user, address, _ := strings.Cut(address, "@")
	if user != "" {
		if err := syscall.Setuid(65534); err != nil { // nobody
			fmt.Print(err)
			return
		}
	}
	listener, err := listen(address, 1)
	if err != nil {
		fmt.Print(err)
		return
	}
	listener.Close()
	fmt.Print("it listens")
}

// Two centrals would each get some of the agencies.
func TestNobodyElseListensThere(t *testing.T) {
	c := start(t, 1, nil, nil)
	address := c.Address().String()
	t.Run("in this process", func(t *testing.T) {
		err := New(Config{Address: address, Backlog: 1, MaxConnections: 1}, undrawn{}).Run(t.Context())
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("the error is %v, expected %v", err, unix.EADDRINUSE)
		}
	})
	for what, user := range map[string]string{"in another process": "", "of another user": "nobody"} {
		t.Run(what, func(t *testing.T) {
			if user != "" && os.Getuid() != 0 {
				t.Skip("only root can be somebody else")
			}
			other := exec.Command(os.Args[0])
			other.Env = append(os.Environ(), listenVariable+"="+user+"@"+address)
			said, err := other.CombinedOutput()
			if err != nil || !strings.Contains(string(said), unix.EADDRINUSE.Error()) {
				t.Errorf("it says %q, %v; expected %v", said, err, unix.EADDRINUSE)
			}
		})
	}
	c.expectEcho("hola\n")
}

// With IPv6, a central that listens on all addresses does so on both kinds.
func TestBothKindsOfAddresses(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			c := start(t, 1, func(config *Config) { config.Address = address }, nil)
			_, port, err := net.SplitHostPort(c.Address().String())
			if err != nil {
				t.Fatal(err)
			}
			for _, host := range []string{"127.0.0.1", "::1"} {
				probe, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
				if err != nil {
					t.Logf("there is no %s here", host)
					continue
				}
				probe.Close()
				c.dialTo(net.JoinHostPort(host, port), net.Dialer{}).expectEcho("hola\n")
				if e := c.log.find(t, "receive_message", "success"); e[len(e)-1]["ip"] != host {
					t.Errorf("the log has %v, expected ip %s", e, host)
				}
			}
		})
	}
}
