package main

import (
	"fmt"
	"strconv"
	"strings"
)

// central is the server's process and what it has told.
type central struct {
	process
	address string // where it listens; empty until it does
	page    string // its address; empty while there is none
	draws   int
}

// newCentral prepares the central that keeps the bets in a folder.
func newCentral(opts options, bin, dir string) *central {
	return makeCentral(opts, bin, "central", "--storage-dir", dir, "--contest=", "--admin="+opts.admin)
}

// newSharing prepares one of several centrals, numbered from 1, that keep the
// bets in a ledger that they share. The first one has the page.
func newSharing(opts options, bin, ledger string, number int) *central {
	name := fmt.Sprintf("central %d", number)
	page := opts.admin
	if number > 1 {
		page = ""
	}
	c := makeCentral(opts, bin, name, "--ledger", ledger, "--contest", clusterContest,
		"--central", strings.ReplaceAll(name, " ", "-"), "--admin="+page)
	// On a busy machine a server lags, or elects a leader. What matters is
	// compared at the end.
	c.passing = []string{"stream_replica", "stream_problem"}
	return c
}

func makeCentral(opts options, bin, name string, args ...string) *central {
	c := &central{process: process{
		who:     name,
		path:    bin,
		logName: strings.ReplaceAll(name, " ", "-") + ".log",
		args: append(append(args, opts.tls.central()...),
			"--expected-agencies", strconv.Itoa(opts.agencies),
			"--log-level", opts.logLevel,
			// The environment may change the rest, but not what the run reads.
			"--log-format", "text",
		),
	}}
	c.read = c.hear
	c.judge = c.endedEarly
	return c
}

// hear takes in a line of the central and says what is new in it.
func (c *central) hear(rec record, _ event) (news string, err error) {
	if rec.result != "success" {
		if rec.action == "admin_listen" {
			return fmt.Sprintf("its page has to wait: %s: %s", rec.fields["address"], rec.fields["reason"]), nil
		}
		return "", nil
	}
	switch rec.action {
	case "admin_listen":
		c.page = fmt.Sprintf("http://%s/", rec.fields["address"])
		return "its page is " + c.page, nil
	case "listen":
		if c.address == "" {
			c.address = rec.fields["address"]
			return "listening on " + c.address, nil
		}
	case "sorteo":
		c.draws++ // announced once every agency has said that its bets are stored
	}
	return "", nil
}
