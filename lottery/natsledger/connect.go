package natsledger

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const (
	connectTime  = 2 * time.Second // for one server to answer
	connectPause = 250 * time.Millisecond
)

// complete checks a Config and puts the defaults in.
func (c *Config) complete() error {
	switch {
	case len(c.Servers) == 0:
		return errors.New("natsledger: no NATS server is named")
	case c.Contest == "":
		return errors.New("natsledger: the contest has no name")
	case c.Agencies < 1:
		return fmt.Errorf("natsledger: %d agencies are expected, want at least one", c.Agencies)
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("natsledger: a client certificate needs its key, and the key its certificate")
	}
	c.Replicas = cmp.Or(c.Replicas, DefaultReplicas)
	c.MaxBytes = cmp.Or(c.MaxBytes, DefaultMaxBytes)
	c.Patience = cmp.Or(c.Patience, DefaultPatience)
	if c.Replicas != 1 && c.Replicas != 3 && c.Replicas != 5 {
		return fmt.Errorf("natsledger: %d replicas of a stream: want 1, 3 or 5", c.Replicas)
	}
	return nil
}

// connect connects to any of the servers. It tries until ctx is done, unless trying
// again cannot help.
func connect(ctx context.Context, c *Config) (*nats.Conn, <-chan struct{}, error) {
	files, err := fileOptions(c)
	if err != nil {
		return nil, nil, err
	}
	refused := &dialer{failures: map[string]error{}}
	gone := make(chan struct{})
	closed := sync.OnceFunc(func() { close(gone) })
	options := append(files,
		nats.Name(cmp.Or(c.Central, "central")),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // once let in, a refusal is a server's fault
		nats.ReconnectBufSize(-1),   // the ledger itself sends again
		nats.ReconnectWait(100*time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.PingInterval(5*time.Second),
		nats.MaxPingsOutstanding(2),
		nats.Timeout(connectTime),
		nats.FlusherTimeout(writeTimeout),
		nats.SetCustomDialer(refused),
		nats.ClosedHandler(func(*nats.Conn) { closed() }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			line := c.Log.Warn().Str("action", "connect_ledger").Str("result", "fail")
			if s != nil {
				line = line.Str("subject", s.Subject)
			}
			line.Err(err).Send()
		}),
	)
	servers := slices.Clone(c.Servers)
	for i, s := range servers {
		if !strings.Contains(s, "://") {
			servers[i] = "nats://" + s
		}
	}
	for {
		conn, err := nats.Connect(strings.Join(servers, ","), options...)
		if err == nil {
			return conn, gone, nil
		}
		if isFinal(err) {
			return nil, nil, fmt.Errorf("connect to NATS at %s: %w", strings.Join(c.Servers, ", "), err)
		}
		reason := refused.why(err)
		if c.Waiting != nil { // it is optional
			c.Waiting(reason)
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("connect to NATS at %s: %w (%w)", strings.Join(c.Servers, ", "), reason, ctx.Err())
		case <-time.After(connectPause):
		}
	}
}

// closeConn closes the connection, and returns when that is done.
func closeConn(conn *nats.Conn, gone <-chan struct{}) {
	conn.Close()
	select {
	case <-gone:
	case <-time.After(closeTime):
	}
}

// fileOptions reads the files, so that a missing one is an error at once.
func fileOptions(c *Config) ([]nats.Option, error) {
	var options []nats.Option
	if c.CredsFile != "" {
		text, err := os.ReadFile(c.CredsFile)
		if err != nil {
			return nil, fmt.Errorf("the credentials of NATS: %w", err)
		}
		if _, err := nkeys.ParseDecoratedNKey(text); err != nil {
			return nil, fmt.Errorf("the credentials of NATS: %s is no file of them (.creds): %w", c.CredsFile, err)
		}
		options = append(options, nats.UserCredentials(c.CredsFile))
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("the certificates of NATS: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the certificates of NATS: %s has none in PEM", c.CAFile)
		}
		options = append(options, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, fmt.Errorf("the client's certificate for NATS: %w", err)
		}
		options = append(options, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	return options, nil
}

// isFinal reports whether trying again cannot help: the other side was reached, and
// refuses the connection.
func isFinal(err error) bool {
	for _, final := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrSecureConnRequired, nats.ErrSecureConnWanted, nats.ErrNkeysNotSupported,
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var header tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &alert) || errors.As(err, &header) ||
		strings.Contains(err.Error(), "tls: ") || strings.Contains(strings.ToLower(err.Error()), "authorization violation")
}

// dialer dials, and remembers why that has failed: nats.Connect does not say
// which server has refused.
type dialer struct {
	mu       sync.Mutex
	failures map[string]error
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, connectTime)
	d.mu.Lock()
	defer d.mu.Unlock()
	if delete(d.failures, address); err != nil {
		d.failures[address] = err
	}
	return conn, err
}

// why returns the failures, or else what the client has said.
func (d *dialer) why(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var failures []string
	for _, failure := range d.failures {
		failures = append(failures, failure.Error())
	}
	if len(failures) == 0 {
		return err
	}
	slices.Sort(failures)
	return errors.New(strings.Join(failures, "; "))
}
