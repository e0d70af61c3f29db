package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"loteria/internal/logline"
	"loteria/internal/process"
)

const (
	maxLine      = 1 << 20 // bytes of a line in the central's log, or of a row
	maxFailLines = 5       // with "result: fail" that are shown
)

// startCentral starts the central, and waits until it listens on a free port of
// this machine, with TLS or without. It returns its address.
func (r *round) startCentral(ctx context.Context) (string, error) {
	args := []string{"--bind", "127.0.0.1", "--port", "0", "--storage-dir", ".", "--contest=", "--admin=" + r.opts.admin,
		"--expected-agencies", strconv.Itoa(r.opts.agencies), "--log-level", logline.LevelName(r.opts.level)}
	if r.opts.tls != "" {
		args = append(args, "--port", "off", "--tls-bind", "127.0.0.1", "--tls-port", "0", "--tls-client-ca", r.credential("authority.pem"),
			"--tls-cert", r.credential("central.pem"), "--tls-key", r.credential("central-key.pem"))
	}
	c, err := process.StartCentral(ctx, r.opts.bin, r.dir, "central", r.opts.tls != "", args...)
	if r.central = c; err != nil {
		return "", err
	}
	c.OnEnd(func(f *process.Failure) { r.fail(f) })
	address := c.Address + c.TLS // one is empty
	r.screen.say("central", "listening on "+address)
	switch {
	case c.Admin != "":
		r.page = fmt.Sprintf(", its page is http://%s/", c.Admin)
		r.screen.say("central", r.page[2:])
	case c.Hidden != "":
		r.screen.say("central", "its page has to wait: "+strings.Replace(c.Hidden, " | reason", "", 1))
	}
	return address, nil
}

// check looks for unnoticed failures, and compares what the agencies sent with what
// is on disk.
func (r *round) check() error {
	draws, fails := 0, 0
	err := eachLine(r.central.Log, func(line string) {
		line = line[max(0, strings.Index(line, "action: ")):] // without the time
		if strings.HasPrefix(line, "action: sorteo | result: success") {
			draws++
		}
		if strings.Contains(line, "| result: fail") {
			if fails++; fails <= maxFailLines {
				r.screen.alarm("central", line)
			}
		}
	})
	switch {
	case err != nil:
		return err
	case fails > 0:
		return fmt.Errorf("central logged %s with result: fail, see %s", plural(fails, "line", "lines"), r.central.Log)
	case draws != 1:
		return fmt.Errorf("central logged %s (sorteo), expected one", plural(draws, "draw", "draws"))
	}

	path, all := filepath.Join(r.dir, "bets.csv"), 0
	rows, sent := make(map[string]uint64), make(map[string]uint64)
	for _, a := range r.agencies {
		if n := a.stored.Load(); n > 0 {
			sent[strconv.Itoa(a.id)] = n
		}
	}
	// The rows are not read by the code that wrote them.
	err = eachLine(path, func(row string) {
		agency, _, _ := strings.Cut(row, ",")
		rows[agency]++
		all++
	})
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist): // there is no file when nobody bet
		return err
	case !maps.Equal(rows, sent):
		return fmt.Errorf("%s has other rows than were sent: %v by agency, expected %v", path, rows, sent)
	}
	r.screen.print(r.screen.coloured(green, fmt.Sprintf("%s has %d rows, each agency's as many as it sent.", path, all)) +
		"\nThe logs are beside it.")
	return nil
}

// eachLine calls do for each line.
func eachLine(path string, do func(line string)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		do(lines.Text())
	}
	return lines.Err()
}
