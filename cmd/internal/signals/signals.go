// Package signals says what a signal means to the programs of the lottery.
package signals

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Received is the cause of a context that a signal has ended.
type Received struct{ os.Signal }

func (r Received) Error() string { return "stopped by a signal: " + r.String() }

// Context returns a context that ends with the first SIGTERM, SIGINT or SIGHUP:
// each asks for an orderly stop; its cause is Received. A SIGTERM or SIGINT
// after that ends the process at once. A further SIGHUP does not, as a terminal
// that closes may send several. A SIGHUP that was ignored when the process
// started, as nohup has it, stays ignored.
func Context() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	hangUp := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hangUp, syscall.SIGHUP)
	}
	go func() {
		var by os.Signal
		select {
		case by = <-stop:
		case by = <-hangUp:
		}
		signal.Stop(stop)
		cancel(Received{by})
	}()
	return ctx
}
