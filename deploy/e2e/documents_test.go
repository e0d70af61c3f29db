//go:build e2e

package e2e

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/docs/markdown"
)

// exchanges returns the commands that a document shows with their output.
func exchanges(t *testing.T, name string) []markdown.Exchange {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(pristine, name))
	if err != nil {
		t.Fatal(err)
	}
	all := markdown.Parse(name, string(content)).Exchanges()
	if len(all) == 0 {
		t.Fatalf("%s shows no commands", name)
	}
	return all
}

// The commands of the exercises, in the order of README, print what README shows.
func TestExercises(t *testing.T) {
	l := newLab(t)
	for _, e := range exchanges(t, "README.md") {
		l.converse(e)
	}
}

// The same for the page with their details, and for the backup of the operators'
// page. They are about the committed lottery, after its end.
func TestDetailsOfTheExercises(t *testing.T) {
	l := newLab(t)
	l.up()
	l.finish(5)
	for _, e := range exchanges(t, "docs/ejercicios.md") {
		l.converse(e)
	}
	page, err := os.ReadFile(filepath.Join(pristine, "docs/operators.md"))
	if err != nil {
		t.Fatal(err)
	}
	const backUp = "docker cp server:/bets/"
	commands := markdown.Parse("docs/operators.md", string(page)).Commands()
	i := slices.IndexFunc(commands, func(c markdown.Command) bool { return strings.HasPrefix(c.Text, backUp) })
	if i < 0 {
		t.Fatalf("the operators' page has no %s", backUp)
	}
	if err := os.Mkdir(filepath.Join(l.dir, "backup"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.run("sh", "-ec", commands[i].Text)
	for _, name := range []string{"bets.csv", "contest.json"} {
		if _, err := os.Stat(filepath.Join(l.dir, "backup", name)); err != nil {
			t.Error(err)
		}
	}
}

// nameOfAContest matches a name that the generator makes from the time.
var nameOfAContest = regexp.MustCompile(`sorteo-\d{8}-\d{6}-\d{5}`)

// pattern matches a line that a document shows, in which … is anything, and the
// name of a contest any other. The spaces with which Compose aligns the names of
// containers vary.
func pattern(line string) *regexp.Regexp {
	p := regexp.QuoteMeta(nameOfAContest.ReplaceAllString(line, "…"))
	p = regexp.MustCompile(` +\\\|`).ReplaceAllString(p, ` +\|`)
	return regexp.MustCompile(strings.ReplaceAll(p, "…", ".*"))
}

// converse runs a command as written until it has printed every line that the
// document shows, in any order. One that reads logs is repeated, for as long as
// patience lasts: a container may not have logged its line yet.
func (l *lab) converse(e markdown.Exchange) {
	l.Helper()
	for begun := time.Now(); ; {
		printed, missing := l.say(e)
		switch {
		case len(missing) == 0:
			return
		case !strings.Contains(e.Text, " logs ") || time.Since(begun) > patience:
			l.Fatalf("%s: %s does not print\n%s\nbut\n%s", e.Where, e.Text, strings.Join(missing, "\n"), end(printed))
		}
	}
}

// say runs a command once. One that does not end by itself is interrupted, as by
// Ctrl-C, when all lines are there; one that ends must succeed if none is missing.
func (l *lab) say(e markdown.Exchange) (printed string, missing []string) {
	l.Helper()
	c := l.command([]string{"COMPOSE_ANSI=never"}, "sh", "-c", e.Text)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	output, writer := io.Pipe()
	c.Stdout, c.Stderr = writer, writer
	if err := c.Start(); err != nil {
		l.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		err := c.Wait()
		writer.Close()
		ended <- err
	}()

	missing = slices.Clone(e.Prints)
	interrupted := false
	var all strings.Builder
	for lines := bufio.NewScanner(output); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		missing = slices.DeleteFunc(missing, func(line string) bool { return pattern(line).MatchString(lines.Text()) })
		if len(missing) == 0 && !interrupted && goesOn(e.Text) {
			interrupted = true
			if err := syscall.Kill(-c.Process.Pid, syscall.SIGINT); err != nil {
				l.Error(err)
			}
		}
	}
	if err := <-ended; err != nil && !interrupted && len(missing) == 0 {
		l.Fatalf("%s: %s: %v\n%s", e.Where, e.Text, err, end(all.String()))
	}
	return all.String(), missing
}

// goesOn reports whether a command does not end by itself.
func goesOn(command string) bool {
	return strings.HasSuffix(command, "compose up") || strings.HasSuffix(command, "logs -f")
}

// end returns the last bytes of an output.
func end(output string) string {
	const most = 4000
	return output[max(0, len(output)-most):]
}
