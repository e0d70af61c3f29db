//go:build linux

package cmd_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	child "loteria/internal/process" // a process is another thing here
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
	*child.Process
	id     int // of the agency; 0 is the central
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

// startProgram starts a program, and returns what it writes to stdout, too. That is
// a file: however late the tests are with reading, the program never waits for it.
func startProgram(tb testing.TB, who string, stderr *bytes.Buffer, name string, args ...string) (*child.Process, io.ReadCloser) {
	tb.Helper()
	input, err := os.CreateTemp(tb.TempDir(), name)
	if err != nil {
		tb.Fatal(err)
	}
	defer input.Close() // the process has its own
	output, err := os.Open(input.Name())
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binFolder, name), args...)
	cmd.Dir = binFolder // it holds no configuration
	cmd.Env = []string{"GOTRACEBACK=all", "GORACE=halt_on_error=1 atexit_sleep_ms=0"}
	cmd.Stdout, cmd.Stderr = input, stderr
	p, err := child.Start(cmd, who)
	if err != nil {
		output.Close()
		tb.Fatal(err)
	}
	return p, &growingFile{file: output, by: p}
}

// growingFile ends where the process that writes it has ended. It is no *os.File, whose
// other methods end where the file does at the moment.
type growingFile struct {
	file *os.File
	by   *child.Process
}

func (f *growingFile) Close() error { return f.file.Close() }

func (f *growingFile) Read(into []byte) (int, error) {
	for {
		ended := f.by.HasEnded() // before the read: it may have written until then
		n, err := f.file.Read(into)
		if n > 0 || err != io.EOF || ended {
			return n, err
		}
		select {
		case <-f.by.Ended():
		case <-time.After(time.Millisecond):
		}
	}
}

// start starts a program whose lines, and then its end, go to events. It dies
// with the tests.
func start(t *testing.T, events chan event, id int, program string, args ...string) *process {
	t.Helper()
	p, who := &process{id: id, state: "starting"}, "central"
	if id > 0 {
		who = fmt.Sprintf("agency %d", id)
	}
	var output io.ReadCloser
	p.Process, output = startProgram(t, who, &p.stderr, program, args...)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer output.Close()
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			events <- event{from: p, line: scanner.Text()}
		}
		<-p.Ended()
		events <- event{from: p, end: true}
	}()
	t.Cleanup(func() {
		p.Signal(syscall.SIGKILL)
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

// String shows the last of what the process said.
func (p *process) String() string {
	how := "running"
	if p.ended {
		how = p.How()
	}
	text := fmt.Sprintf("%s (%s, %s):\n%s", p.Name, p.state, how, strings.Join(p.tail, "\n"))
	if p.ended { // before, it is still written to
		text += "\n" + p.stderr.String()
	}
	return text
}
