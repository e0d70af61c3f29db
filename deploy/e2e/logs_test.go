//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// shape is the shape of every log line. No value has a bar or a control
// character, which also excludes colour codes.
var shape = regexp.MustCompile(
	`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:DEBUG   |INFO    |WARNING |ERROR   |CRITICAL) ` +
		`action: (\w+) \| result: (success|fail|in_progress)((?: \| \w+: [^|\x00-\x1f\x7f]*)*)$`)

// line is one line of a log.
type line struct {
	text, action, result string
	values               map[string]string
}

func parseLine(text string) (l line, ok bool) {
	match := shape.FindStringSubmatch(text)
	if match == nil {
		return line{text: text}, false
	}
	l = line{text: text, action: match[1], result: match[2], values: map[string]string{}}
	for part := range strings.SplitSeq(strings.TrimPrefix(match[3], " | "), " | ") {
		key, value, _ := strings.Cut(part, ": ")
		l.values[key] = value
	}
	return l, true
}

// log is all that a container has logged.
type log []line

// logs returns what the container has logged on standard output up to now.
func (l *lab) logs(container string) (all log) {
	l.Helper()
	for text := range strings.Lines(l.docker("logs", container)) {
		parsed, ok := parseLine(strings.TrimSuffix(text, "\n"))
		if !ok {
			l.Errorf("%s: this line has not the shape of the contract: %q", container, text)
		}
		all = append(all, parsed)
	}
	return all
}

// of returns the lines of an action with a result.
func (all log) of(action, result string) (some log) {
	for _, l := range all {
		if l.action == action && l.result == result {
			some = append(some, l)
		}
	}
	return some
}

// index returns the index of an action's first line, or -1.
func (all log) index(action string) int {
	for i, l := range all {
		if l.action == action {
			return i
		}
	}
	return -1
}

// sum adds up a value of all lines.
func (all log) sum(key string) (total int) {
	for _, l := range all {
		n, _ := strconv.Atoi(l.values[key])
		total += n
	}
	return total
}

// ending returns the part of a line after its time and level.
func (l line) ending() string {
	if _, rest, found := strings.Cut(l.text, "action: "); found {
		return "action: " + rest
	}
	return l.text
}

// checkLine checks that a log has that many lines with this ending.
func (l *lab) checkLine(container string, all log, times int, ending string) {
	l.Helper()
	n := 0
	for _, one := range all {
		if one.ending() == ending {
			n++
		}
	}
	if n != times {
		l.Errorf("%s: %d lines are %q, want %d", container, n, ending, times)
	}
}

// checkUndisturbed reports lines that say fail, and anything on standard error.
func (l *lab) checkUndisturbed() {
	l.Helper()
	for _, container := range l.containers() {
		for _, one := range l.logs(container) {
			if one.result == "fail" {
				l.Errorf("%s: %s", container, one.text)
			}
		}
		var stderr bytes.Buffer
		c := l.command(nil, "docker", "logs", container)
		c.Stderr = &stderr
		if err := c.Run(); err != nil || stderr.Len() > 0 {
			l.Errorf("%s on standard error: %v %s", container, err, &stderr)
		}
	}
}

// checkShape reports lines that are not in the contract's shape.
func (l *lab) checkShape() {
	l.Helper()
	for _, container := range l.containers() {
		l.logs(container)
	}
}

func (l *lab) printLogs() {
	for _, container := range l.containers() {
		output, _ := l.command(nil, "docker", "logs", "--tail", "100", container).CombinedOutput()
		l.Logf("the last lines of %s:\n%s", container, output)
	}
}

// await returns when the container has logged that many lines of an action with a
// result. It fails the test if the container ends first.
func (l *lab) await(container, action, result string, times int) {
	l.Helper()
	seen := 0
	l.follow([]string{"logs", "--follow", container}, func(text string) bool {
		if one, ok := parseLine(text); ok && one.action == action && one.result == result {
			seen++
		}
		return seen == times
	})
}

// follow returns when a docker command prints a line for which enough reports
// true. It fails the test if the command ends first.
func (l *lab) follow(args []string, enough func(text string) bool) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, "docker", args...)
	output, err := command.StdoutPipe()
	if err != nil {
		l.Fatal(err)
	}
	if err := command.Start(); err != nil {
		l.Fatal(err)
	}
	defer func() {
		cancel()
		_ = command.Wait() // it was killed
	}()
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if enough(lines.Text()) {
			return
		}
	}
	l.Fatalf("docker %s: it ended, or took longer than %v, before what was awaited", strings.Join(args, " "), patience)
}
