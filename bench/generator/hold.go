package generator

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sync/errgroup"
	"loteria/codec"
)

// Held is connections that stay open and send nothing more.
type Held struct{ conns []net.Conn }

// Hold opens a connection for each agency from 1 to n and sends RESUME on it.
// It returns when all have their answer.
func Hold(ctx context.Context, central *Central, n int) (*Held, error) {
	h := &Held{make([]net.Conn, n)}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dialing)
	for i := range h.conns {
		group.Go(func() error {
			agency := i + 1
			conn, err := central.connect(ctx, agency)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			h.conns[i] = conn
			if err := ask(ctx, conn, &codec.Resume{Agency: strconv.Itoa(agency)}, codec.TypeResumePoint); err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// Close closes all connections.
func (h *Held) Close() {
	for _, conn := range h.conns {
		if conn != nil {
			conn.Close()
		}
	}
}
