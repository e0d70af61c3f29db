//go:build linux

package cmd_test

import (
	"crypto/tls"
	"testing"

	"loteria/bench/generator"
	"loteria/internal/certs/certstest"
)

// transport is how agencies and their central are connected: with these
// certificates, or without TLS.
type transport struct {
	certificates *certstest.Folder
	credentials  func(agency int) (*tls.Config, error) // from there, for an agency of 127.0.0.1
}

// eachTransport runs a test without TLS, and over TLS with a central that has no
// other port.
func eachTransport(t *testing.T, test func(t *testing.T, over transport)) {
	t.Helper()
	t.Run("plain", func(t *testing.T) { test(t, transport{}) })
	t.Run("TLS", func(t *testing.T) { test(t, overTLS(t, agencies)) })
}

// overTLS makes certificates of that many agencies.
func overTLS(tb testing.TB, agencies int) transport {
	tb.Helper()
	certificates, err := certstest.New(tb.TempDir(), agencies)
	if err != nil {
		tb.Fatal(err)
	}
	credentials, err := generator.Credentials(certificates.Path)
	if err != nil {
		tb.Fatal(err)
	}
	return transport{certificates, func(agency int) (*tls.Config, error) {
		config, err := credentials(agency)
		if err == nil {
			config.ServerName = "127.0.0.1"
		}
		return config, err
	}}
}

func (tr transport) secure() bool { return tr.certificates != nil }

// server returns the flags of a central on that port of the loopback network.
func (tr transport) server(port string) []string {
	if tr.secure() {
		return tr.certificates.Server(port)
	}
	return []string{"--bind", "127.0.0.1", "--port", port}
}

// client returns the flags of an agency.
func (tr transport) client(id int) []string {
	if tr.secure() {
		return tr.certificates.Client(id)
	}
	return nil
}
