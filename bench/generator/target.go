// Package generator drives a central, or whatever is compared with one, with
// batches of bets, and measures how long each takes to be acknowledged.
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
	// Receive waits until at least one more of the batches that were sent is
	// acknowledged, which means durable where the target promises that, and
	// returns how many more are. Batches are acknowledged in their order.
	Receive() (acknowledged int, err error)
	// Close ends the connection, and whoever waits in Receive.
	Close() error
}
