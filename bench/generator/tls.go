package generator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// Credentials returns the agencies' certificates and the authority that they
// trust, from a folder as cmd/certs makes it: authority.pem, agency-N.pem and
// agency-N-key.pem.
func Credentials(folder string) (func(agency int) (*tls.Config, error), error) {
	path := filepath.Join(folder, "authority.pem")
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the central's authority: %w", err)
	}
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("the central's authority: %s has no certificate in PEM", path)
	}
	return func(agency int) (*tls.Config, error) {
		name := filepath.Join(folder, fmt.Sprintf("agency-%d", agency))
		pair, err := tls.LoadX509KeyPair(name+".pem", name+"-key.pem")
		if err != nil {
			return nil, fmt.Errorf("the certificate and key of agency %d: %w", agency, err)
		}
		return &tls.Config{
			MinVersion:   tls.VersionTLS13,
			RootCAs:      authority,
			Certificates: []tls.Certificate{pair},
			// Small records only help browsers, which show a part at once.
			DynamicRecordSizingDisabled: true,
		}, nil
	}, nil
}

// secure does the handshake.
func (c *Central) secure(ctx context.Context, conn net.Conn, agency int) (*securedConn, error) {
	config, err := c.TLS(agency)
	if err != nil {
		return nil, err
	}
	if config.ServerName == "" {
		config = config.Clone()
		if config.ServerName, _, err = net.SplitHostPort(c.Address); err != nil {
			return nil, err
		}
	}
	gathered := &gatheringConn{Conn: conn}
	secured := &securedConn{Conn: tls.Client(gathered, config), gathered: gathered}
	return secured, secured.HandshakeContext(ctx)
}

// securedConn is a connection over TLS. A Send is encrypted record by record, but
// is one system call, as without TLS.
type securedConn struct {
	*tls.Conn
	gathered *gatheringConn
	plain    []byte // of one Send
}

// send sends frames. It is not safe for concurrent use.
func (c *securedConn) send(frames net.Buffers) error {
	c.plain = c.plain[:0]
	for _, frame := range frames {
		c.plain = append(c.plain, frame...)
	}
	c.gathered.begin()
	_, err := c.Write(c.plain)
	if flushed := c.gathered.flush(); err == nil {
		err = flushed
	}
	return err
}

// gatheringConn holds back writes while it gathers. It has a lock because TLS
// also writes while reading: an alert, say.
type gatheringConn struct {
	net.Conn
	mu        sync.Mutex
	gathering bool
	held      []byte
}

func (c *gatheringConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering = true
}

// Write implements net.Conn.
func (c *gatheringConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gathering {
		c.held = append(c.held, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *gatheringConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering = false
	_, err := c.Conn.Write(c.held)
	c.held = c.held[:0]
	return err
}
