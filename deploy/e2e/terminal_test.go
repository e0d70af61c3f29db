//go:build e2e

package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
)

// terminal is a command that runs beside the test, as in a terminal of its own.
type terminal struct {
	*lab
	command *exec.Cmd
	lines   chan string // of standard output and standard error, closed at their end
	printed strings.Builder
}

// open begins a command, with more environment than the test's.
func (l *lab) open(environment []string, name string, args ...string) *terminal {
	l.Helper()
	c := l.command(append([]string{"COMPOSE_ANSI=never"}, environment...), name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	output, input, err := os.Pipe()
	if err != nil {
		l.Fatal(err)
	}
	c.Stdout, c.Stderr = input, input
	err = c.Start()
	input.Close() // the command has its own
	if err != nil {
		l.Fatal(err)
	}
	t := &terminal{lab: l, command: c, lines: make(chan string, 1<<16)} // so that the command need not wait for the test
	go func() {
		defer output.Close()
		defer close(t.lines)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			t.lines <- lines.Text()
		}
	}()
	return t
}

// next returns the next line. There is none when the command has ended.
func (t *terminal) next() (line string, more bool) {
	line, more = <-t.lines
	if more {
		t.printed.WriteString(line + "\n")
	}
	return line, more
}

// await returns when a line matches. It fails the test if the command ends first.
func (t *terminal) await(pattern string) {
	t.Helper()
	awaited := regexp.MustCompile(pattern)
	for {
		line, more := t.next()
		switch {
		case !more:
			t.Fatalf("%q: it ended with %v, and has not printed %q but\n%s", t.command.Args, t.end(), pattern, end(t.printed.String()))
		case awaited.MatchString(line):
			return
		}
	}
}

// interrupt is Ctrl-C.
func (t *terminal) interrupt() {
	t.Helper()
	if err := syscall.Kill(-t.command.Process.Pid, syscall.SIGINT); err != nil {
		t.Error(err)
	}
}

// end returns how the command ends, after its last line.
func (t *terminal) end() error {
	for more := true; more; _, more = t.next() {
	}
	return t.command.Wait()
}

// end returns the last bytes of an output.
func end(output string) string {
	const most = 4000
	return output[max(0, len(output)-most):]
}
