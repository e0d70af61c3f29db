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
}

func main() {
	var d demo
	pflag.StringVar(&d.bin, "bin", "bin", "folder with the programs server, run and nats-server")
	pflag.StringVar(&d.data, "data", ".data", "folder with agency-N.csv, or with a zip that holds them")
	pflag.StringVar(&d.config, "config", "deploy/nats/nats.conf", "configuration of the NATS servers")
	pflag.IntVar(&d.agencies, "agencies", 5, "number of agencies")
	pflag.Parse()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)

	err := d.run(signals)
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended): // from run, which has said why
		os.Exit(ended.ExitCode())
	case err != nil:
		fmt.Fprintf(os.Stderr, "cluster: failed: %v\n", err)
		var f *process.Failure
		if errors.As(err, &f) {
			fmt.Fprintln(os.Stderr, f.Of.Tail())
		}
		os.Exit(1)
	}
}

// say prints what somebody did, as run does.
func say(who, what string) { fmt.Printf("%-9s  %s\n", who, what) }

// run runs the lottery. An *exec.ExitError is from the program run.
func (d *demo) run(signals <-chan os.Signal) (err error) {
	d.folder = filepath.Join("run", time.Now().Format("cluster-2006-01-02T15-04-05.000"))
	if err := os.MkdirAll(d.folder, 0o755); err != nil {
		return err
	}
	if d.folder, err = filepath.Abs(d.folder); err != nil {
		return err
	}
	if d.config, err = filepath.Abs(d.config); err != nil {
		return err
	}
	nats, err := filepath.Abs(filepath.Join(d.bin, "nats-server"))
	if err != nil {
		return err
	}
	if d.servers, err = servers.Start(context.Background(), nats, d.config, d.folder); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.servers.Close()) }() // last: stopping centrals still store
	for i := range servers.Count {
		say(fmt.Sprintf("nats %d", i+1), "ready")
	}
	defer func() { err = errors.Join(err, d.stopCentrals()) }()
	if err := d.startCentrals(); err != nil {
		return err
	}
	if err := d.play(signals); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	go func() { // a signal cancels the rest
		<-signals
		cancel()
	}()
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

// ledger returns a central's flags for the ledger.
func (d *demo) ledger() []string {
	return []string{"--ledger", strings.Join(d.servers.URLs(), ","), "--contest", contest, "--expected-agencies", fmt.Sprint(d.agencies)}
}

func (d *demo) startCentrals() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
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
		say(name, "listening on "+c.Address)
	}
	return nil
}

// play runs the agencies, and passes signals on to them.
func (d *demo) play(signals <-chan os.Signal) error {
	var addresses []string
	for _, c := range d.centrals {
		addresses = append(addresses, c.Address)
	}
	run := exec.Command(filepath.Join(d.bin, "run"), "--data", d.data, "--agencies", fmt.Sprint(d.agencies), "--central", strings.Join(addresses, ","))
	run.Stdout, run.Stderr = os.Stdout, os.Stderr
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // or it would get a Ctrl-C twice
	if err := run.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = run.Process.Signal(s) // fails if it has just ended
		case err := <-ended:
			return err
		}
	}
}

// export writes the rows of the contest into a file, as an operator would.
func (d *demo) export(ctx context.Context) error {
	server, err := filepath.Abs(filepath.Join(d.bin, "server"))
	if err != nil {
		return err
	}
	command := exec.Command(server, append(d.ledger(), "--export", exportName)...)
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
