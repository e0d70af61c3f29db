package process

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
)

// What a central logs when it takes connections, the page's line first.
var (
	listens    = regexp.MustCompile(`action: listen \| result: success \| address: (\S+)\n`)
	listensTLS = regexp.MustCompile(`action: listen \| result: success \| address: (\S+) \| tls: true`)
	shows      = regexp.MustCompile(`action: admin_listen \| result: success \| address: (\S+)`)
	hidden     = regexp.MustCompile(`action: admin_listen \| result: in_progress \| address: (.*)`)
)

// Central is the process of a central.
type Central struct {
	*Process
	Address string // where it listens, host:port; empty is nowhere
	TLS     string // the same over TLS
	Admin   string // of its page; empty is none
	Hidden  string // why there is no page yet, if there is to be one
}

// StartCentral starts bin/server in a folder, which should hold no configuration,
// and returns when it takes connections: over TLS if overTLS. With an error, too,
// it returns the central, unless that was not started.
func StartCentral(ctx context.Context, bin, folder, name string, overTLS bool, args ...string) (*Central, error) {
	program, err := filepath.Abs(filepath.Join(bin, "server"))
	if err != nil {
		return nil, err
	}
	// The environment may set what the arguments do not, but not the log's format.
	cmd := exec.Command(program, append([]string{"--log-format", "text"}, args...)...)
	cmd.Dir = folder
	p, err := Start(cmd, name)
	if err != nil {
		return nil, err
	}
	c := &Central{Process: p}
	return c, p.Await(ctx, func(log []byte) bool {
		c.Address, c.TLS = find(listens, log), find(listensTLS, log)
		c.Admin, c.Hidden = find(shows, log), find(hidden, log)
		return overTLS && c.TLS != "" || !overTLS && c.Address != ""
	})
}

// find returns what is in the parentheses of an expression.
func find(line *regexp.Regexp, log []byte) string {
	if found := line.FindSubmatch(log); found != nil {
		return string(bytes.TrimSpace(found[1]))
	}
	return ""
}
