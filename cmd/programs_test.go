//go:build linux

package cmd_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"loteria/internal/process/gobuild"
)

// built has the server and the client, in binFolder.
var built = gobuild.New("..", append(raceFlag(), "./cmd/server", "./cmd/client")...)

// binFolder has the server and the client, once programs was called.
var (
	binFolder    string
	setBinFolder sync.Once
)

func raceFlag() []string {
	if raced {
		return []string{"-race"}
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	built.Remove()
	os.Exit(code)
}

// programs builds the server and the client.
func programs(t testing.TB) {
	t.Helper()
	folder := built.Folder(t)
	setBinFolder.Do(func() { binFolder = folder }) // tests run beside each other
}

// besidePrograms returns a folder that has the programs in bin, as the project's has
// them.
func besidePrograms(t *testing.T) (folder string) {
	t.Helper()
	programs(t)
	folder = t.TempDir()
	if err := os.Symlink(binFolder, filepath.Join(folder, "bin")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// keptLines is how many lines of a process are shown when something is wrong.
const keptLines = 25

// process is the server or the client as a process of its own.
type process struct {
	who    string
	id     int // of the agency; 0 is the central
	cmd    *exec.Cmd
	stderr bytes.Buffer

	// The rest belongs to whoever takes its events.
	tail   []string // the last lines
	state  string   // how far it is
	struck bool     // a kill is on the way
	ended  bool
}

// event is a line that a process wrote, or its end.
type event struct {
	from *process
	line string
	end  bool
}

// starter runs what starts processes on one thread that lives as long as the
// tests: the kernel takes the end of the thread for that of the parent
// (prctl(2), PR_SET_PDEATHSIG).
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// start starts a program whose lines, and then its end, go to events. It dies
// with the tests.
func start(t *testing.T, events chan event, id int, program string, args ...string) *process {
	t.Helper()
	p := &process{who: "central", id: id, state: "starting"}
	if id > 0 {
		p.who = fmt.Sprintf("agency %d", id)
	}
	p.cmd = exec.Command(filepath.Join(binFolder, program), args...)
	p.cmd.Dir = binFolder // it holds no configuration
	p.cmd.Env = []string{"GOTRACEBACK=all", "GORACE=halt_on_error=1 atexit_sleep_ms=0"}
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	starter() <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			events <- event{from: p, line: scanner.Text()}
		}
		_ = p.cmd.Wait()
		events <- event{from: p, end: true}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		for {
			select {
			case <-gone:
				return
			case <-events: // nobody else takes them any more
			}
		}
	})
	return p
}

// take records the line and returns its parts, see parseLine.
func (p *process) take(line string) map[string]string {
	if len(p.tail) == keptLines {
		p.tail = slices.Delete(p.tail, 0, 1)
	}
	p.tail = append(p.tail, line)
	return parseLine(line)
}

// parseLine returns the parts of a log line by their names.
func parseLine(line string) map[string]string {
	parts := map[string]string{}
	if at := strings.Index(line, "action: "); at >= 0 {
		for part := range strings.SplitSeq(line[at:], " | ") {
			key, value, _ := strings.Cut(part, ": ")
			parts[key] = value
		}
	}
	return parts
}

func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err)
	}
}

// wasKilled reports whether SIGKILL ended a process.
func (p *process) wasKilled() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

func (p *process) exitCode() int { return p.cmd.ProcessState.ExitCode() }

// String shows the last of what the process said.
func (p *process) String() string {
	how := "running"
	if p.ended {
		how = p.cmd.ProcessState.String()
	}
	text := fmt.Sprintf("%s (%s, %s):\n%s", p.who, p.state, how, strings.Join(p.tail, "\n"))
	if p.ended { // before, it is still written to
		text += "\n" + p.stderr.String()
	}
	return text
}
