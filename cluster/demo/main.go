// Command demo is what "make cluster" runs: a whole lottery, by the program of
// "make run", with three NATS servers that keep the bets of two centrals. In the
// end the stored bets are compared with the agencies' files.
//
// Everything except the agencies' logs stays in a new folder under run/.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"loteria/cluster/bench/servers"
	"loteria/internal/process"
)

const (
	centrals   = 2
	contest    = "loteria"
	exportName = "export.csv" // what a central's --export writes, in the demo's folder

	exitFailure = 1
	exitUsage   = 2
	exitSignal  = 128 // and the signal's number, as shells do

	startLimit = time.Minute      // for a central to listen
	endLimit   = 10 * time.Minute // for the queries and the export after the draw
	grace      = 10 * time.Second // between SIGTERM and SIGKILL
)

// demo is one lottery.
type demo struct {
	bin, data, config string
	agencies          int
	folder            string
	servers           *servers.Servers
	centrals          []*process.Central
	fail              func(error) // ends the lottery
}

func main() {
	var d demo
	pflag.StringVar(&d.bin, "bin", "bin", "folder with the programs server, run and nats-server")
	pflag.StringVar(&d.data, "data", ".data", "folder with agency-N.csv, or with a zip that holds them")
	pflag.StringVar(&d.config, "config", "deploy/nats/nats.conf", "configuration of the NATS servers")
	pflag.IntVar(&d.agencies, "agencies", 5, "number of agencies")
	pflag.Parse()
	if err := d.check(); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v (see --help)\n", err)
		os.Exit(exitUsage)
	}
	os.Exit(d.exitCode(d.run()))
}

// check finds what would otherwise be found when the servers run.
func (d *demo) check() error {
	if pflag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", pflag.Arg(0))
	}
	if d.agencies < 1 {
		return fmt.Errorf("--agencies is %d, expected at least 1", d.agencies)
	}
	for _, path := range []string{d.config, filepath.Join(d.bin, "server"), filepath.Join(d.bin, "run"), filepath.Join(d.bin, "nats-server")} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("there is no %s", path)
		}
	}
	for id := 1; id <= d.agencies; id++ {
		file, err := openRows(d.data, id)
		if err != nil {
			return err
		}
		file.Close()
	}
	return nil
}

// exitCode tells how the lottery has ended.
func (d *demo) exitCode(err error) int {
	var by received
	var ended runEnded
	var f *process.Failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &by):
		fmt.Fprintf(os.Stderr, "cluster: %v\n", by)
		return exitSignal + int(by.Signal.(syscall.Signal))
	case errors.As(err, &ended): // it has said why
		return int(ended)
	case errors.As(err, &f):
		said := err.Error()
		if last := f.Of.Tail(); !strings.Contains(said, last) {
			said += "\n" + last
		}
		fmt.Fprintf(os.Stderr, "cluster: failed: %s\n", said)
	default:
		fmt.Fprintf(os.Stderr, "cluster: failed: %v\n", err)
	}
	return exitFailure
}

// received is the signal that has ended the lottery.
type received struct{ os.Signal }

func (r received) Error() string { return "stopped by a signal: " + r.String() }

// runEnded is an exit code of the program run, which is no success.
type runEnded int

func (e runEnded) Error() string { return fmt.Sprintf("run exited with code %d", int(e)) }

// say prints what somebody did, as run does.
func say(who, what string) { fmt.Printf("%-9s  %s\n", who, what) }

// run runs the lottery, until a signal, or the end of a process that should go on,
// ends it.
func (d *demo) run() error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as with nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		by := <-signals
		signal.Reset(syscall.SIGINT, syscall.SIGTERM) // another one ends this at once, and the processes with it
		cancel(received{by})
	}()
	d.fail = cancel
	err := d.play(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return cause // the rest follows from that
	}
	return err
}

// play plays the lottery from its first server to the comparison.
func (d *demo) play(ctx context.Context) (err error) {
	d.folder = filepath.Join("run", time.Now().Format("cluster-2006-01-02T15-04-05.000"))
	if err := os.MkdirAll(d.folder, 0o755); err != nil {
		return err
	}
	for _, path := range []*string{&d.folder, &d.config, &d.bin} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if err := d.startServers(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.servers.Close()) }() // last: stopping centrals still store
	defer func() { err = errors.Join(err, d.stopCentrals()) }()
	if err := d.startCentrals(ctx); err != nil {
		return err
	}
	if err := d.letRun(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	if err := d.askAll(ctx); err != nil {
		return err
	}
	if err := d.stopCentrals(); err != nil {
		return err
	}
	if err := d.export(ctx); err != nil {
		return err
	}
	path := filepath.Join(d.folder, exportName)
	rows, err := compareFiles(path, d.data, d.agencies)
	if err == nil {
		fmt.Printf("%s has %d rows, each agency's those of its file, in their order.\n", path, rows)
	}
	return err
}

// startServers starts the NATS servers. Until they run the end of ctx ends them,
// and then only Close.
func (d *demo) startServers(ctx context.Context) (err error) {
	life, end := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, end)
	defer stop()
	if d.servers, err = servers.Start(life, filepath.Join(d.bin, "nats-server"), d.config, d.folder); err != nil {
		end()
		return err
	}
	d.servers.OnEnd(d.fail)
	for i := range servers.Count {
		say(fmt.Sprintf("nats %d", i+1), "ready")
	}
	return nil
}

// ledger returns a central's flags for the ledger.
func (d *demo) ledger() []string {
	return []string{"--ledger", strings.Join(d.servers.URLs(), ","), "--contest", contest, "--expected-agencies", fmt.Sprint(d.agencies)}
}

func (d *demo) startCentrals(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for i := range centrals {
		name := fmt.Sprintf("central %d", i+1)
		c, err := process.StartCentral(ctx, d.bin, d.folder, name, false, append(d.ledger(),
			"--bind", "127.0.0.1", "--port", "0", "--admin=", "--central", strings.ReplaceAll(name, " ", "-"))...)
		if c != nil {
			d.centrals = append(d.centrals, c)
		}
		if err != nil {
			return err
		}
		c.OnEnd(func(f *process.Failure) { d.fail(f) })
		say(name, "listening on "+c.Address)
	}
	return nil
}

// letRun runs the agencies with the program run, and passes a signal on to it.
func (d *demo) letRun(ctx context.Context) error {
	var addresses []string
	for _, c := range d.centrals {
		addresses = append(addresses, c.Address)
	}
	command := exec.Command(filepath.Join(d.bin, "run"), "--data", d.data, "--agencies", fmt.Sprint(d.agencies), "--central", strings.Join(addresses, ","))
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	run, err := process.Start(command, "run")
	if err != nil {
		return err
	}
	select {
	case <-run.Ended():
	case <-ctx.Done():
		by := received{syscall.SIGTERM}
		errors.As(context.Cause(ctx), &by)
		run.Signal(by.Signal)
		late, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		_ = run.Wait(late) // what is wrong is the cause
		return context.Cause(ctx)
	}
	switch code := run.ExitCode(); {
	case code > 0:
		return runEnded(code)
	case code < 0:
		return errors.New("run " + run.How())
	}
	return nil
}

// export writes the rows of the contest into a file, as an operator would.
func (d *demo) export(ctx context.Context) error {
	command := exec.Command(filepath.Join(d.bin, "server"), append(d.ledger(), "--export", exportName)...)
	command.Dir = d.folder
	p, err := process.Start(command, "export")
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// stopCentrals ends the centrals that run.
func (d *demo) stopCentrals() (err error) {
	for _, c := range d.centrals {
		err = errors.Join(err, process.Stop(grace, c.Process))
	}
	d.centrals = nil
	return err
}
