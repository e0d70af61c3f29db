// Package generator sends batches of bets to a central, or to what it is
// compared with, and measures how long each takes to be acknowledged.
package generator

import "context"

// Target is what takes the load: a central, or another store of batches.
type Target interface {
	// Dial opens a connection of an agency.
	Dial(ctx context.Context, agency int) (Conn, error)
}

// Conn is one connection of an agency. One goroutine sends while another one
// receives.
type Conn interface {
	// Send sends batches, with as few system calls as the target allows.
	Send(batches []*Batch) error
	// Receive waits until at least one more batch is acknowledged, which means
	// durable where the target promises that, and returns how many more are.
	// Batches are acknowledged in order.
	Receive() (acknowledged int, err error)
	// Close ends the connection, and a pending Receive.
	Close() error
}
