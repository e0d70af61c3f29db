package natsledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// metadataAgencies is where a stream's metadata have the number of agencies.
const metadataAgencies = "agencies"

const (
	dialTime      = 2 * time.Second // for one server to take a connection
	reconnectWait = 100 * time.Millisecond
	pingInterval  = 5 * time.Second
	pings         = 2 // without an answer: then the connection is taken for dead
)

// options are those of a connection that is kept whatever happens to one server.
func (c *Config) options() []nats.Option {
	options := []nats.Option{
		nats.Name(c.Central), nats.Timeout(dialTime), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(-1), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pings),
	}
	if c.CredsFile != "" {
		options = append(options, nats.UserCredentials(c.CredsFile))
	}
	if c.CAFile != "" {
		options = append(options, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" {
		options = append(options, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	return options
}

// dial connects to one of the servers. It tries again until ctx is done, unless
// a server answers that it does not let this client in.
func dial(ctx context.Context, c Config) (*nats.Conn, error) {
	for {
		conn, err := nats.Connect(strings.Join(c.Servers, ","), c.options()...)
		if err == nil {
			return conn, nil
		}
		err = fmt.Errorf("connect to %s: %w", strings.Join(c.Servers, ", "), err)
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(askAgain):
		}
	}
}
