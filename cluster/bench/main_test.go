package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loteria/bench/generator"
	"loteria/bench/measure"
)

// bin is the folder of the measured programs.
var bin string

// TestMain builds them.
func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "bench-"); err != nil {
		panic(err)
	}
	for module, program := range map[string]string{"../..": "./cmd/server", ".": "github.com/nats-io/nats-server/v2"} {
		build := exec.Command("go", "build", "-trimpath", "-o", bin+"/", program)
		build.Dir = module
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as in the Makefile
		if output, err := build.CombinedOutput(); err != nil {
			os.RemoveAll(bin)
			panic(fmt.Sprintf("%v\n%s", err, output))
		}
	}
	code := m.Run()
	os.RemoveAll(bin)
	os.Exit(code)
}

// The table of a short run has each goal and its measurement; the test does not
// judge whether it is met. Slow measurements are in the long form.
func TestBench(t *testing.T) {
	folder := t.TempDir()
	goals, expected := "throughput,stored,winners,size,folder", 12
	if os.Getenv("CHAOS") != "" {
		goals, expected = "", 17 // all
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"--bin", bin, "--before", bin, "--config", "../../deploy/nats/nats.conf", "--folder", folder, "--profiles", folder + "/profiles",
		"--rounds", "1", "--kills", "1", "--duration", "50ms", "--scale", "1000", "--only", goals}, &stdout, &stderr)
	if code != measure.ExitOK {
		t.Fatalf("the exit code is %d\n%s", code, stderr.String())
	}
	var rows int
	for line := range strings.Lines(stdout.String()) {
		if strings.Contains(line, "| met |") || strings.Contains(line, "| missed by ") {
			rows++
		}
	}
	if rows != expected {
		t.Errorf("there are %d rows, expected %d:\n%s", rows, expected, stdout.String())
	}
	for _, part := range []string{"Linux", "commit", "bare publisher", "central on a folder", "1/1000", "beside it"} {
		if !strings.Contains(stdout.String(), part) {
			t.Errorf("there is no %q in\n%s", part, stdout.String())
		}
	}
	if left, err := filepath.Glob(folder + "/*"); err != nil || len(left) != 1 {
		t.Errorf("it has left %v (%v), expected the profiles", left, err)
	}
	if taken, err := filepath.Glob(folder + "/profiles/*.pprof"); err != nil || len(taken) != len(loads) {
		t.Errorf("there are the profiles %v (%v), expected %d", taken, err, len(loads))
	}
}

// The image was 12.0 MB before a contest could be in NATS, and may grow by at most
// 8. That leaves room for more.
func TestImageIsSmall(t *testing.T) {
	const most = 20e6
	size, err := programSize(filepath.Join(bin, "server"))
	if err != nil {
		t.Fatal(err)
	}
	if size < most/10 || size > most {
		t.Errorf("the program has %.1f MB without symbols, expected at most %.1f", size/1e6, most/1e6)
	}
}

func TestArguments(t *testing.T) {
	for args, code := range map[string]int{
		"--help": measure.ExitOK, "--rounds 0": measure.ExitUsage, "--kills 0": measure.ExitUsage, "--scale 0": measure.ExitUsage, "more": measure.ExitUsage, "--only nothing": measure.ExitUsage,
		"--bin nowhere --only throughput": measure.ExitFailure, "--bin nowhere --before nowhere --only size": measure.ExitFailure,
		"--only size,folder": measure.ExitOK, // nothing to compare with
	} {
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), append(strings.Fields(args), "--folder", t.TempDir()), &stdout, &stderr); got != code {
			t.Errorf("%s: code %d, expected %d: %s", args, got, code, stderr.String())
		}
	}
}

func TestSeriesCompareRoundsWithEachOther(t *testing.T) {
	a, b := series{rates: []float64{1, 20, 300}}, series{rates: []float64{2, 10, 100}}
	if got := a.to(&b); got != 2 {
		t.Errorf("the ratio is %v, expected 2: the median of 0.5, 2 and 3", got)
	}
}

// A pause is the longest wait of any agency, from before note was called; an
// agency that is cut off reconnects.
func TestPulse(t *testing.T) {
	t.Parallel()
	var target permitting
	for i := range target {
		target[i] = make(chan error)
	}
	p, err := startPulse(t.Context(), &target)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	begun := time.Now()
	for i := range target {
		target[i] <- nil
	}
	if err := p.awaitAll(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	p.note()
	begun = time.Now()
	target[0] <- errors.New("cut off")
	for i := range target {
		if p.all(begun) {
			t.Errorf("all agencies have been acknowledged something, and agency %d has not", i+1)
		}
		target[i] <- nil
	}
	if err := p.awaitAll(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	if p.comings() != 1 {
		t.Errorf("%d agencies came again, expected 1", p.comings())
	}
	if first, longest := p.firstOfAll(), p.longest(); first < comeAgain || longest < comeAgain {
		t.Errorf("the last agency had its first acknowledgement after %v, and the longest wait is %v: expected at least %v of both", first, longest, comeAgain)
	}
}

// permitting acknowledges one of an agency's batches for each permit.
type permitting [pulseAgencies]chan error

func (p *permitting) Dial(_ context.Context, agency int) (generator.Conn, error) {
	ctx, cancel := context.WithCancel(context.Background())
	return &permitted{p[agency-1], ctx, cancel}, nil
}

type permitted struct {
	permits <-chan error
	ctx     context.Context // done when the connection is closed
	cancel  context.CancelFunc
}

func (p *permitted) Send([]*generator.Batch) error { return nil }

func (p *permitted) Receive() (int, error) {
	select {
	case err := <-p.permits:
		return 1, err
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	}
}

func (p *permitted) Close() error {
	p.cancel()
	return nil
}
