//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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
	for _, e := range exchanges(t, markdown.Sessions("README.md")) {
		l.converse(e)
	}
}

// The same for the page with their details. They are about the committed lottery,
// after its end. The backup of the operators' page is whole then.
func TestDetailsOfTheExercises(t *testing.T) {
	l := newLab(t)
	l.up()
	l.finish(5)
	for _, e := range exchanges(t, markdown.Sessions("docs/ejercicios.md")) {
		l.converse(e)
	}
	if err := os.Mkdir(filepath.Join(l.dir, "backup"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.shell(markdown.Quoted("docker cp server:/bets/loteria-nacional/contest.json backup/ && docker cp server:/bets/loteria-nacional/bets.csv backup/"))
	said := l.docker("run", "--rm", "--user", "0", "--volume", filepath.Join(l.dir, "backup")+":/backup", "server:latest", "--check", "--storage-dir", "/backup")
	for _, text := range []string{"bets.csv: 78697 rows", "state: drawn", "nothing is damaged"} {
		if !strings.Contains(said, text) {
			t.Errorf("the check of the backup says\n%s\nwithout %q", said, text)
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
	t := l.open(nil, "sh", "-c", e.Text)
	missing = slices.Clone(e.Prints)
	interrupted := false
	for line, more := t.next(); more; line, more = t.next() {
		missing = slices.DeleteFunc(missing, func(awaited string) bool { return pattern(awaited).MatchString(line) })
		if len(missing) == 0 && !interrupted && goesOn(e.Text) {
			interrupted = true
			t.interrupt()
		}
	}
	if err := t.end(); err != nil && !interrupted && len(missing) == 0 {
		l.Fatalf("%s: %s: %v\n%s", e.Where, e.Text, err, end(t.printed.String()))
	}
	return t.printed.String(), missing
}

// goesOn reports whether a command does not end by itself.
func goesOn(command string) bool {
	return strings.HasSuffix(command, "compose up") || strings.HasSuffix(command, "logs -f")
}
