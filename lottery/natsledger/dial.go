package natsledger

import (
	"context"

	"github.com/nats-io/nats.go"
)

// metadataAgencies is where a stream's metadata have the number of agencies.
const metadataAgencies = "agencies"

// dial connects to one of the servers. It tries again until ctx is done, unless
// a server answers that it does not let this client in.
func dial(ctx context.Context, c Config) (*nats.Conn, error) {
	conn, _, err := connect(ctx, &c)
	return conn, err
}
