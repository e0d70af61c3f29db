package main

import (
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"loteria/cmd/internal/settings"
)

// servers are NATS servers, as host:port.
type servers struct {
	addresses []string
	hasUser   bool // an address had a name, a password or a token, which is not kept
}

// access holds the credentials for NATS, and the terms of a new stream.
type access struct {
	creds, ca, cert, key string // paths of files; may be empty
	replicas             int    // of a new stream
	maxBytes             int    // likewise
}

// origin is where an import takes a contest from. One of the two is given.
type origin struct {
	folder  string // of its bets.csv
	servers servers
}

func (o origin) isGiven() bool { return o.folder != "" || o.servers.areGiven() }

func (s servers) areGiven() bool { return len(s.addresses) > 0 || s.hasUser }

// natsPort is the port of a NATS server when none is named
// (https://docs.nats.io/running-a-nats-service/configuration).
const natsPort = "4222"

const (
	natsScheme     = "nats://"
	serversExample = "like nats://host:4222,host:4222"
)

// addLedgerSettings adds the settings of the ledger.
func addLedgerSettings(s *settings.Set, c *config) {
	settings.Add(s, &c.ledger, settings.Setting{
		Key: "LEDGER", Flag: "ledger", Env: "LEDGER",
		About: "NATS servers that keep the bets, for a contest that several centrals share; empty keeps them in the folder of storage-dir",
	}, settings.Parsed("addresses of servers, "+serversExample, parseServers).OrEmpty())
	settings.Add(s, &c.nats.creds, settings.Setting{
		Key: "NATS_CREDS", Flag: "nats-creds", Env: "NATS_CREDS",
		About: "file with this central's credentials for NATS (.creds)",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.nats.ca, settings.Setting{
		Key: "NATS_CA", Flag: "nats-ca", Env: "NATS_CA",
		About: "file with the certificates, PEM, by which NATS servers are known; empty is the system's",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.nats.cert, settings.Setting{
		Key: "NATS_CERT", Flag: "nats-cert", Env: "NATS_CERT",
		About: "file with this central's certificate for NATS, PEM; with nats-key",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.nats.key, settings.Setting{
		Key: "NATS_KEY", Flag: "nats-key", Env: "NATS_KEY",
		About: "file with the key of that certificate, PEM",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.nats.replicas, settings.Setting{
		Key: "NATS_REPLICAS", Flag: "nats-replicas", Env: "NATS_REPLICAS", Default: "3",
		About: "servers that have a copy of a contest which is begun in NATS; with 1 it is lost with that server",
	}, settings.Parsed("1, 3 or 5", parseReplicas))
	settings.Add(s, &c.nats.maxBytes, settings.Setting{
		Key: "NATS_MAX_BYTES", Flag: "nats-max-bytes", Env: "NATS_MAX_BYTES", Default: strconv.Itoa(8 << 30),
		About: "bytes that a contest which is begun in NATS may have on each server",
	}, settings.Int(16<<20, 1<<50))
	settings.Add(s, &c.central, settings.Setting{
		Key: "CENTRAL", Flag: "central", Env: "CENTRAL",
		About: "name of this central, by which others on the same contest know it; empty is the name of the machine",
	}, settings.Parsed("up to 64 letters, digits, -, _ and . (not first)", parseContest).OrEmpty())
}

// checkLedgerSettings returns an error when settings of the ledger contradict each
// other, and notes those without effect.
//
// A name or a password in a server's address would appear in the list of processes,
// and wherever the address is repeated. So it is refused, and not shown.
func checkLedgerSettings(s *settings.Set, c *config) error {
	const noUser = "has a user or a token in it, which the list of processes would show: put it into a file for --nats-creds"
	switch {
	case c.ledger.hasUser:
		return &settings.Error{Source: s.Source("LEDGER"), Key: "LEDGER", Problem: noUser, Allowed: serversExample}
	case c.importFrom.servers.hasUser:
		return &settings.Error{Source: "flag --import", Problem: noUser, Allowed: serversExample}
	}
	if err := s.RequireTogether(withItsKey, "NATS_CERT", "NATS_KEY"); err != nil {
		return err
	}
	var actions []string
	for action, isAsked := range map[string]bool{
		"--check": c.check, "--export": c.export != "", "--winners": c.output.winners, "--import": c.importFrom.isGiven(), "--healthcheck": c.healthcheck,
		"--verify": c.acta.verify != "",
	} {
		if isAsked {
			actions = append(actions, action)
		}
	}
	if slices.Sort(actions); len(actions) > 1 {
		return &settings.Error{Source: "flag " + actions[0], Problem: "cannot be with " + actions[1] + ", which is all that is done"}
	}
	if c.importFrom.servers.areGiven() {
		if err := s.Require("servers of NATS are given, where a contest has a name", "CONTEST"); err != nil {
			return err
		}
	}
	if !c.ledger.areGiven() {
		if !c.importFrom.servers.areGiven() {
			s.Ignore(noServers, "NATS_CREDS", "NATS_CA", "NATS_CERT", "NATS_KEY")
		}
		s.Ignore(noServers, "NATS_REPLICAS", "NATS_MAX_BYTES", "CENTRAL")
		return nil
	}
	if err := s.Require("LEDGER names servers of NATS, where a contest has a name", "CONTEST"); err != nil {
		return err
	}
	if c.reopen {
		return &settings.Error{Source: "flag --reopen", Problem: "is for a contest in a folder, and LEDGER names servers of NATS", Allowed: "one of the two"}
	}
	if c.noSync {
		s.Ignore("is for a contest in a folder: NATS servers sync as their own sync_interval says", "FSYNC")
		c.noSync = false
	}
	return nil
}

const (
	noServers  = "is for a ledger in NATS, and LEDGER names no servers"
	withItsKey = "a certificate is used with its key"
)

// parseServers parses addresses separated by commas; the first must have the
// scheme, the others may.
func parseServers(text string) (s servers, err error) {
	if strings.Contains(text, "@") { // whatever else is wrong must not be shown
		return servers{hasUser: true}, nil
	}
	text = strings.TrimSpace(text)
	if !isNATS(text) {
		return s, errors.New("no scheme")
	}
	for _, address := range strings.Split(text, ",") {
		address = strings.TrimSpace(address)
		if isNATS(address) {
			address = address[len(natsScheme):]
		}
		if address, err = parseServer(strings.TrimSuffix(address, "/")); err != nil {
			return servers{}, err
		}
		if !slices.Contains(s.addresses, address) {
			s.addresses = append(s.addresses, address)
		}
	}
	return s, nil
}

func isNATS(text string) bool {
	return len(text) >= len(natsScheme) && strings.EqualFold(text[:len(natsScheme)], natsScheme)
}

// parseServer returns host:port of an address whose port may be missing.
func parseServer(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if missing := (*net.AddrError)(nil); errors.As(err, &missing) && missing.Err == "missing port in address" {
		host, port, err = strings.Trim(address, "[]"), natsPort, nil
	}
	if err != nil {
		return "", err
	}
	if hosts, err := parseHosts(host); net.ParseIP(host) == nil && (err != nil || len(hosts) != 1 || strings.ContainsAny(host, "?#&=%")) {
		return "", errors.New("not a host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", errors.New("not a port")
	}
	return net.JoinHostPort(host, port), nil
}

// parseOrigin takes servers, or the path of a folder.
func parseOrigin(text string) (o origin, err error) {
	if isNATS(strings.TrimSpace(text)) {
		o.servers, err = parseServers(text)
		return o, err
	}
	if strings.Contains(text, "://") {
		o.servers.hasUser = strings.Contains(text, "@") // whatever else is wrong must not be shown
		if o.servers.hasUser {
			return o, nil
		}
		return o, errors.New("not a folder")
	}
	o.folder = text
	return o, nil
}

func parseReplicas(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err == nil && n != 1 && n != 3 && n != 5 {
		err = errors.New("not a number of replicas")
	}
	return n, err
}

// centralName returns how others know this central.
func (c config) centralName() string {
	if c.central != "" {
		return c.central
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "central"
	}
	name := []byte(host[:min(len(host), maxContest)])
	for i := range name {
		if _, err := parseContest("x" + string(name[i])); err != nil {
			name[i] = '-'
		}
	}
	return string(name)
}

// sharedName is centralName if the ledger can be shared, or empty.
func (c config) sharedName() string {
	if !c.ledger.areGiven() {
		return ""
	}
	return c.centralName()
}
