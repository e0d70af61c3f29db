// Package signals has what a signal means to the programs of the lottery.
package signals

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Context returns a context that ends with the first SIGTERM, SIGINT or SIGHUP:
// each asks for an orderly stop. A SIGTERM or SIGINT after that ends the process
// at once. A further SIGHUP does not, as a terminal that closes may send
// several. A SIGHUP that was ignored when the process started, as nohup has it,
// stays ignored.
func Context() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	hangUp := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hangUp, syscall.SIGHUP)
	}
	go func() {
		select {
		case <-stop:
		case <-hangUp:
		}
		signal.Stop(stop)
		cancel()
	}()
	return ctx
}
