package main

import (
	"crypto/tls"
	"time"

	"github.com/rs/zerolog"

	"loteria/agency"
	"loteria/cmd/internal/settings"
	"loteria/internal/certs"
)

// tlsSettings are how the agency and the central authenticate.
type tlsSettings struct {
	files      certs.AgencyFiles
	serverName string // of the central; empty is the host of its address
}

func addTLSSettings(s *settings.Set, t *tlsSettings) {
	for _, part := range []struct {
		into                  *string
		key, flag, env, about string
	}{
		{&t.files.Authorities, "tls.ca", "tls-ca", "CLI_TLS_CA",
			"file with the certificate of the authority that has issued the central's; it and the next two go together, and with them the central's TLS port is called"},
		{&t.files.Certificate, "tls.cert", "tls-cert", "CLI_TLS_CERT", "file with the agency's certificate, which names it; read again for each connection, so that it can be renewed"},
		{&t.files.Key, "tls.key", "tls-key", "CLI_TLS_KEY", "file with the key of the agency's certificate"},
		{&t.serverName, "tls.serverName", "tls-server-name", "CLI_TLS_SERVERNAME", "name in the central's certificate, where it is another one than the host of its address"},
	} {
		settings.Add(s, part.into, settings.Setting{Key: part.key, Flag: part.flag, Env: part.env, About: part.about}, settings.Path().OrEmpty())
	}
}

// isOn reports whether anything of TLS was given.
func (t tlsSettings) isOn() bool { return t != tlsSettings{} }

// named returns the files that errors of connections name.
func (t tlsSettings) named() agency.TLSFiles {
	return agency.TLSFiles{Authorities: t.files.Authorities, Certificate: t.files.Certificate}
}

// credentials are the agency's, as read from its files. They are used by one
// goroutine. Nil are none.
type credentials struct {
	of   tlsSettings
	id   int
	last *tls.Config // the last that was read with success
	log  zerolog.Logger
	told string // the problem with the files that was logged last
}

// newCredentials reads the files. The error names the one that is wrong.
func newCredentials(c config) (*credentials, error) {
	read := &credentials{of: c.tls, id: c.id, log: zerolog.Nop()}
	return read, read.again()
}

// again reads the files again, all or nothing.
func (c *credentials) again() error {
	config, err := c.of.files.Read(c.id, time.Now())
	if err == nil {
		config.ServerName = c.of.serverName
		c.last = config
	}
	return err
}

const readAction = "read_certificates" // as a central has it

// report logs what was read, and has later problems logged, too.
func (c *credentials) report(log zerolog.Logger) {
	if c == nil {
		return
	}
	c.log = log
	line := func(e *zerolog.Event, result string) *zerolog.Event {
		return e.Str("action", readAction).Str("result", result).Int("client_id", c.id)
	}
	line(log.Info(), "success").Str("file", c.of.files.Certificate).
		Time("expires", c.last.Certificates[0].Leaf.NotAfter.UTC()).Send()
	if warning := certs.KeyWarning(c.of.files.Key); warning != "" {
		line(log.Warn(), "in_progress").Str("reason", warning).Send()
	}
}

// config returns the configuration for a new connection. While the files cannot be
// used, during a renewal or after a failed one, it is the previous one: the central
// says whether that is good enough. The error is always nil.
func (c *credentials) config() (*tls.Config, error) {
	err := c.again()
	if err == nil {
		c.told = ""
	} else if c.told != err.Error() {
		c.told = err.Error()
		c.log.Warn().Str("action", readAction).Str("result", "in_progress").Int("client_id", c.id).
			Str("reason", c.told+"; what was read before is used").Send()
	}
	return c.last, nil
}
