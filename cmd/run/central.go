package main

import (
	"fmt"
	"strconv"
)

// central is the server's process and what it has told.
type central struct {
	process
	address string // where it listens; empty until it does
	page    string // its address; empty while there is none
	draws   int

	announced bool // the screen has said that the draw was
}

func newCentral(opts options, bin, dir string) *central {
	c := &central{process: process{
		who:     "central",
		path:    bin,
		logName: "central.log",
		args: []string{
			"--bind", "127.0.0.1", "--port", "0",
			"--storage-dir", dir,
			"--expected-agencies", strconv.Itoa(opts.agencies),
			"--log-level", opts.logLevel,
			// The environment may change the rest, but not what the run reads.
			"--log-format", "text",
			"--contest=",
			"--admin=" + opts.admin, // empty is none
		},
	}}
	c.read = c.hear
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
