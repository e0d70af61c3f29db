//go:build linux

package cmd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"loteria/codec"
	child "loteria/internal/process"
)

// hostilePatience bounds every wait of the hostile peers' tests; none of them needs
// it, but those that leave 200 MB unread come near a minute with the race detector
// on a busy machine.
const hostilePatience = 5 * time.Minute

// hostileCentral is a central as a process of its own, whose log is judged line
// by line.
type hostileCentral struct {
	*child.Process
	tb      testing.TB
	over    transport
	storage string
	address string
	deaf    bool // the log is thrown away once the central listens
	files   int  // descriptors that it has open without connections
	stderr  bytes.Buffer
	known   map[string]string // lines without their time; belongs to their reader
	read    chan struct{}     // closed at the end of its log

	mu     sync.Mutex
	news   sync.Cond
	counts map[string]int // lines by action and result
	forged []string       // lines that the contract does not have
	tail   []string       // the last lines
	late   bool           // a wait took too long
}

// launchHostileCentral starts a central with its default limits, except for args,
// and waits until it listens.
func launchHostileCentral(tb testing.TB, over transport, agencies int, args ...string) *hostileCentral {
	tb.Helper()
	c := &hostileCentral{tb: tb, over: over, storage: tb.TempDir()}
	c.launch(agencies, args)
	return c
}

func (c *hostileCentral) launch(agencies int, args []string) {
	tb := c.tb
	tb.Helper()
	programs(tb)
	c.read, c.counts, c.known = make(chan struct{}), map[string]int{}, map[string]string{}
	c.news.L = &c.mu
	var stdout io.ReadCloser
	c.Process, stdout = startProgram(tb, "central", &c.stderr, "server", slices.Concat(c.over.server("0"), []string{
		"--admin=", "--storage-dir", c.storage, "--expected-agencies", strconv.Itoa(agencies)}, args)...)
	go func() {
		defer close(c.read)
		defer stdout.Close()
		lines := bufio.NewReaderSize(stdout, 1<<16)
		for !c.deaf || c.count("listen success") == 0 {
			line, err := lines.ReadString('\n')
			if line != "" {
				c.hear(line)
			}
			if err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, lines)
	}()
	tb.Cleanup(func() {
		c.Kill()
		<-c.read
	})
	c.await("listen success", 1)
	// With its first answer, all that it opens by itself is open.
	p, err := c.dial(0, 1)
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.say(&codec.Resume{Agency: "1"}); err != nil {
		tb.Fatal(err)
	}
	if _, err := p.expect(codec.TypeResumePoint); err != nil {
		tb.Fatal(err)
	}
	p.reset()
	// While a connection is handed to its loop it has two descriptors, and the central
	// may close the last of them later: what counts is the least.
	c.files = c.openFiles()
	for since := 0; since < 100; since++ {
		time.Sleep(time.Millisecond)
		if open := c.openFiles(); open < c.files {
			c.files, since = open, 0
		}
	}
}

// dial makes a connection from one of the peers' addresses, over TLS as the agency.
func (c *hostileCentral) dial(i, agency int) (*hostilePeer, error) {
	p, err := dialHostile(c.address, hostileSource(i))
	if err != nil || !c.over.secure() {
		return p, err
	}
	config, err := c.over.credentials(agency)
	if err == nil {
		err = p.secure(config)
	}
	if err != nil {
		p.reset()
		return nil, err
	}
	return p, nil
}

// hostileValue is what may stand in a log line as a value: no bar, and nothing
// that ends a line, moves a cursor or turns the direction of writing.
const hostileValue = `[^|\p{Cc}\x{061C}\x{200E}\x{200F}\x{2028}-\x{202E}\x{2066}-\x{2069}]*`

// hostileShape is the contract's log line after its time. hostileLines judges what
// follows the result.
var hostileShape = regexp.MustCompile(
	`^ (?:DEBUG   |INFO    |WARNING |ERROR   |CRITICAL) action: ([a-z_]+) \| result: (success|fail|in_progress)((?: \| [a-z0-9_]+: ` + hostileValue + `)*)\n$`)

// hostileLines is every line that the central has: what follows the result,
// by action and result.
var hostileLines = func() map[string]*regexp.Regexp {
	const refused = ` \| code: [a-z_]+ \| ip: IP \| error: ANY`
	lines := map[string]*regexp.Regexp{}
	for what, rest := range map[string]string{
		"config success":             ` \| port: (?:\d+|off) \| listen_backlog: \d+ \| logging_level: [A-Z]+`,
		"control_listen success":     ` \| file: ANY`,
		"open_contest success":       ` \| file: ANY \| agencies: \d+ \| bets: \d+ \| phase: [a-z]+`,
		"limit_connections success":  ` \| max_connections: \d+ \| configured: \d+ \| max_connections_per_address: \d+ \| reason: ANY`,
		"listen success":             ` \| address: [0-9.:]+(?: \| tls: true)?`,
		"read_certificates success":  ` \| serial: [0-9a-f]+ \| expires: [0-9TZ:-]+ \| authorities: \d+ \| revoked: \d+`,
		"tls_handshake fail":         ` \| ip: IP \| error: ANY`,
		"accept_connection fail":     ` \| ip: IP \| error: ANY`,
		"close_connection success":   ` \| ip: IP( \| reason: ANY)?`,
		"receive_frame fail":         ` \| ip: IP \| error: ANY`,
		"send_answer fail":           ` \| ip: IP \| unread_bytes: \d+ \| error: ANY`,
		"receive_message success":    ` \| ip: IP \| msg: ANY`,
		"receive_message fail":       ` \| ip: IP \| error: ANY`,
		"apuesta_almacenada success": ` \| dni: \d{1,10} \| numero: \d{1,10}`,
		"apuesta_recibida success":   ` \| cantidad: \d+`,
		"apuesta_recibida fail":      ` \| cantidad: \d+` + refused,
		"agencia_finalizada success": ` \| agency: \d+`,
		"agencia_finalizada fail":    refused,
		"resume fail":                refused,
		"consulta_ganadores fail":    refused,
		"await_agency in_progress":   ` \| agency: \d+ \| bets: \d+ \| silent_for: ANY \| since: ANY`,
		"sorteo success":             ``,
		"acta success":               ` \| file: ANY \| sha256: [0-9a-f]{64} \| signed: (true|false)`,
		"gnet success":               ` \| message: ANY`,
		"gnet in_progress":           ` \| message: ANY`,
		"gnet fail":                  ` \| message: ANY`,
		"log fail":                   ` \| dropped_lines: \d+`,
		"shutdown in_progress":       ``,
		"close_listener success":     ` \| address: [0-9.:]+(?: \| tls: true)?`,
		"close_workers success":      ` \| workers: \d+`,
		"close_ledger success":       ``,
		"exit success":               ``,
	} {
		rest = strings.NewReplacer("IP", `[0-9.]+`, "ANY", hostileValue).Replace(rest)
		lines[what] = regexp.MustCompile(`^` + rest + `$`)
	}
	return lines
}()

const hostileForged = "forged"

// recognise returns the action and result of a line, or hostileForged.
func (c *hostileCentral) recognise(line string) string {
	if len(line) < len(time.DateTime) {
		return hostileForged
	}
	when, said := line[:len(time.DateTime)], line[len(time.DateTime):]
	if _, err := time.Parse(time.DateTime, when); err != nil {
		return hostileForged
	}
	if what, known := c.known[said]; known {
		return what
	}
	what := hostileForged
	if parts := hostileShape.FindStringSubmatch(said); parts != nil {
		whole := parts[1] + " " + parts[2]
		if rest := hostileLines[whole]; rest != nil && (rest.MatchString(parts[3]) || hostileSuppressed.MatchString(parts[3])) {
			what = whole
		}
	}
	if len(c.known) < maxKnown {
		c.known[said] = what
	}
	return what
}

// maxKnown bounds the recognised lines that are remembered: in a flood they are all
// alike.
const maxKnown = 10_000

// hostileSuppressed is the end of a line that stands for others like it.
var hostileSuppressed = regexp.MustCompile(`(?: \| (?:cantidad|code|ip): [a-z0-9_.]+)* \| suppressed_lines: (\d+)$`)

// linesIn returns how many lines a line stands for.
func linesIn(line string) int {
	parts := hostileSuppressed.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
	if parts == nil {
		return 1
	}
	n, _ := strconv.Atoi(parts[1]) // it is a number
	return n
}

// hear takes in a line of the log.
func (c *hostileCentral) hear(line string) {
	what := c.recognise(line)
	c.mu.Lock()
	defer c.mu.Unlock()
	if what == hostileForged && len(c.forged) < 5 {
		c.forged = append(c.forged, line)
	}
	c.counts[what] += linesIn(line)
	if what == "listen success" {
		_, address, _ := strings.Cut(strings.TrimSpace(line), "address: ")
		c.address, _, _ = strings.Cut(address, " | ")
	}
	if len(c.tail) == keptLines {
		c.tail = slices.Delete(c.tail, 0, 1)
	}
	c.tail = append(c.tail, strings.TrimSpace(line))
	c.news.Broadcast()
}

// await returns when the log has n lines of that action and result.
func (c *hostileCentral) await(what string, n int) {
	c.tb.Helper()
	give := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.late = true
		c.news.Broadcast()
	}
	defer time.AfterFunc(hostilePatience, give).Stop()
	c.mu.Lock()
	for c.counts[what] < n && !c.late {
		c.news.Wait()
	}
	late := c.late
	c.mu.Unlock()
	if late {
		c.tb.Fatalf("the log has no %d lines %q: %v", n, what, c)
	}
}

func (c *hostileCentral) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

// String shows what the log holds.
func (c *hostileCentral) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%v\n%s", c.counts, strings.Join(c.tail, "\n"))
}

// memory returns how much memory the central has, and has had at most, in bytes.
func (c *hostileCentral) memory() (now, most int) {
	c.tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
	if err != nil {
		c.tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch key {
		case "VmRSS":
			now = kilobytes << 10
		case "VmHWM":
			most = kilobytes << 10
		}
	}
	return now, most
}

func (c *hostileCentral) openFiles() int {
	c.tb.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.PID()))
	if err != nil {
		c.tb.Fatal(err)
	}
	return len(files)
}

// awaitConnections returns when the number of the central's connections is in these
// bounds.
func (c *hostileCentral) awaitConnections(least, most int) {
	c.tb.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(hostilePatience)
	for {
		open := c.openFiles() - c.files
		if open >= least && open <= most {
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			c.tb.Errorf("%d connections are open, expected are %d to %d: %v", open, least, most, c)
			return
		}
	}
}

// stop sends SIGTERM and expects a clean end.
func (c *hostileCentral) stop() {
	c.tb.Helper()
	c.Signal(syscall.SIGTERM)
	stuck := time.AfterFunc(hostilePatience, func() { c.Signal(syscall.SIGQUIT) })
	defer stuck.Stop()
	<-c.read
	if err := c.Wait(context.Background()); err != nil || c.stderr.Len() > 0 {
		c.tb.Fatalf("after SIGTERM: %v: %v\n%s", err, c, &c.stderr)
	}
}

// judgeLog looks for lines that the central has not made.
func (c *hostileCentral) judgeLog() {
	c.tb.Helper()
	for _, line := range c.forged {
		c.tb.Errorf("the log has the line %q", line)
	}
	if n := c.counts["sorteo success"]; n != 1 {
		c.tb.Errorf("the draw was logged %d times", n)
	}
	if n := c.counts["log fail"]; n > 0 {
		c.tb.Errorf("lines were left out of the log: %v", c)
	}
}

// check has the server's own check read the ledger.
func (c *hostileCentral) check(rows int) {
	c.tb.Helper()
	check := exec.Command(filepath.Join(binFolder, "server"), "--check", "--storage-dir", c.storage)
	check.Dir, check.Env = binFolder, []string{}
	output, err := check.CombinedOutput()
	if err != nil || !strings.Contains(string(output), fmt.Sprintf(": %d rows,", rows)) ||
		!strings.HasSuffix(string(output), "nothing is damaged\n") {
		c.tb.Errorf("expected %d rows and no damage, --check says %v:\n%s", rows, err, output)
	}
}
