package main

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/settings"
)

// noPort is the number of a port that is off.
const noPort = -1

// tlsConfig is the port on which agencies authenticate. The certificate and its key
// may be set without the port, for the admin port.
type tlsConfig struct {
	port             int           // TCP; 0 takes any free port, noPort is none
	bind             string        // IP address to listen on; empty is that of the plain port
	certificate, key string        // paths of files
	clientCA         string        // path of a file
	revoked          string        // path of a file; empty is none
	handshakeTimeout time.Duration // for a handshake, from the accept on
	maxHandshakes    int           // at a time
}

func addTLSSettings(s *settings.Set, c *config) {
	settings.Add(s, &c.tls.port, settings.Setting{
		Key: "TLS_PORT", Flag: "tls-port", Env: "TLS_PORT", Default: "off",
		About: "TCP port on which agencies prove who they are by a certificate (TLS 1.3); 0 takes any free port, off is none",
	}, settings.Parsed(allowedPort, parsePort))
	settings.Add(s, &c.tls.bind, settings.Setting{
		Key: "TLS_BIND_ADDRESS", Flag: "tls-bind", Env: "TLS_BIND_ADDRESS",
		About: "address to listen on for it; empty is that of bind",
	}, settings.Parsed("an IP address", parseIP).OrEmpty())
	settings.Add(s, &c.tls.certificate, settings.Setting{
		Key: "TLS_CERT", Flag: "tls-cert", Env: "TLS_CERT",
		About: "file with the central's certificate, PEM, and those between it and its authority; like the other files of TLS it is read again when it changes, and at SIGUSR1",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.tls.key, settings.Setting{
		Key: "TLS_KEY", Flag: "tls-key", Env: "TLS_KEY",
		About: "file with the key of that certificate, PEM, without a password",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.tls.clientCA, settings.Setting{
		Key: "TLS_CLIENT_CA", Flag: "tls-client-ca", Env: "TLS_CLIENT_CA",
		About: "file with the certificates, PEM, of the authorities that issue the agencies' certificates",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.tls.revoked, settings.Setting{
		Key: "TLS_REVOKED", Flag: "tls-revoked", Env: "TLS_REVOKED",
		About: "file with the list of what counts no more: on each line the serial number of a certificate, in hexadecimal, or an agency, like agency 7",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.tls.handshakeTimeout, settings.Setting{
		Key: "TLS_HANDSHAKE_TIMEOUT", Flag: "tls-handshake-timeout", Env: "TLS_HANDSHAKE_TIMEOUT", Default: "10s",
		About: "most time that the handshake of a connection may take",
	}, settings.Duration(100*time.Millisecond, time.Hour))
	settings.Add(s, &c.tls.maxHandshakes, settings.Setting{
		Key: "TLS_MAX_HANDSHAKES", Flag: "tls-max-handshakes", Env: "TLS_MAX_HANDSHAKES", Default: strconv.Itoa(maxHandshakes),
		About: "handshakes at the same time, each of which is a connection; for one more, the one that has taken longest is closed; the default is lowered to a quarter of the connections that there may be",
	}, settings.Int(1, 1_000_000))
}

// maxHandshakes is the default of tlsConfig.maxHandshakes. One takes a millisecond
// of a core and some 50 kB.
const maxHandshakes = 1024

const allowedPort = "a whole number from 0 to 65535, or off"

// parsePort parses a port, or off.
func parsePort(text string) (int, error) {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "off") {
		return noPort, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return int(port), err
}

// logPort writes the plain port, as the setting has it.
func (c config) logPort(e *zerolog.Event) {
	if c.port == noPort {
		e.Str("port", "off")
		return
	}
	e.Int("port", c.port)
}

// isOn reports whether there is a port with TLS.
func (t tlsConfig) isOn() bool { return t.port != noPort }

// tlsAddress returns the host:port to listen on with TLS.
func (c config) tlsAddress() string {
	return net.JoinHostPort(c.tlsBind(), strconv.Itoa(c.tls.port))
}

func (c config) tlsBind() string {
	if c.tls.bind != "" {
		return c.tls.bind
	}
	return c.bind
}

// checkTLSSettings returns an error when settings of TLS contradict each other, and
// notes those without effect.
func checkTLSSettings(s *settings.Set, c *config) error {
	if err := s.RequireTogether(withItsKey, "TLS_CERT", "TLS_KEY"); err != nil {
		return err
	}
	if c.tls.isOn() {
		return s.Require("TLS_PORT is "+strconv.Itoa(c.tls.port)+", where the central and the agencies prove who they are",
			"TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA")
	}
	if !s.Given("ADMIN_TLS") {
		s.Ignore("is for a port of TLS: TLS_PORT is off, and ADMIN_TLS is not set", "TLS_CERT", "TLS_KEY")
		c.tls.certificate, c.tls.key = "", ""
	}
	s.Ignore("is for the port of TLS, and TLS_PORT is off",
		"TLS_BIND_ADDRESS", "TLS_CLIENT_CA", "TLS_REVOKED", "TLS_HANDSHAKE_TIMEOUT", "TLS_MAX_HANDSHAKES")
	c.tls.clientCA, c.tls.revoked = "", ""
	return nil
}

// checkPorts returns an error when two of the central's ports are the same, or
// there is none for agencies. An admin port that is only the default gives way to
// them.
func checkPorts(s *settings.Set, c *config) error {
	if c.port == noPort && !c.tls.isOn() {
		return s.Refuse("SERVER_PORT", "leaves no port for agencies, as TLS_PORT is off, too", "a port, here or for TLS_PORT")
	}
	if c.tls.port > 0 && c.tls.port == c.port {
		return s.Refuse("TLS_PORT", "is the port without TLS, too", "another port, or off for one of the two (SERVER_PORT)")
	}
	if admin := portOf(c.admin); admin > 0 && (admin == c.port || admin == c.tls.port) {
		err := s.Refuse("ADMIN_ADDRESS", "has the port of the lottery", "another port, or empty")
		c.admin = ""
		return err
	}
	return nil
}
