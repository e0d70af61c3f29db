package main

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/bench/measure"
)

// The table of a short run has each goal and its measurement; the test does not
// judge whether it is met.
func TestGoals(t *testing.T) {
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "loteria/cmd/server", "loteria/cmd/client", "loteria/bench/goals")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	data := t.TempDir()
	for _, name := range []string{"agency-1.csv", "agency-2.csv", "agency-3.csv", "agency-4.csv", "agency-5.csv"} {
		if err := os.WriteFile(data+"/"+name, []byte("Ana,Sosa,12345678,2000-02-29,7574\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	goals := exec.Command(bin+"/goals", "--bin", bin, "--data", data, "--folder", folder, "--rounds", "1", "--duration", "50ms", "--connected", "100", "--scale", "1000")
	output, err := goals.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	// Without perf or Chromium two rows only say that.
	const expected = 23
	row := regexp.MustCompile(`(?m)^\| .*\| (met \||missed by |not measured \||not counted: )`)
	if rows := len(row.FindAllString(string(output), -1)); rows != expected {
		t.Errorf("there are %d rows, expected %d:\n%s", rows, expected, output)
	}
	for _, part := range []string{"Linux", "commit", "1/1000", "MB/s", "µs to", "| goal |", "(without TLS "} {
		if !strings.Contains(string(output), part) {
			t.Errorf("there is no %q in\n%s", part, output)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("it has left %v (%v)", left, err)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // under nohup, the program would ignore it, too
	for _, end := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(end.String(), func(t *testing.T) { endGoals(t, bin, end) })
	}
}

// endGoals ends the program in the middle of a measurement. It leaves nothing.
func endGoals(t *testing.T, bin string, end os.Signal) {
	folder := t.TempDir()
	var said bytes.Buffer
	goals := exec.Command(bin+"/goals", "--bin", bin, "--folder", folder, "--only", "window", "--duration", "1s")
	goals.Stderr = &said
	if err := goals.Start(); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, func() { _ = goals.Process.Kill() })
	defer timeout.Stop()
	for inside := 0; inside == 0; {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		if inside = len(entries); inside == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if err := goals.Process.Signal(end); err != nil {
		t.Fatal(err)
	}
	_ = goals.Wait()
	if code := goals.ProcessState.ExitCode(); code != measure.ExitFailure {
		t.Errorf("it has ended with %v and said %s", goals.ProcessState, said.String())
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("it has left %v (%v)", left, err)
	}
}

func TestVerdict(t *testing.T) {
	for reached, want := range map[float64]string{1: "met", 2: "met", 0.9: "missed by 10 %", 0.5: "missed by 50 %"} {
		if got := verdict("what", "goal", "measured", reached)[3]; got != want {
			t.Errorf("%v of the goal is %q, expected %q", reached, got, want)
		}
	}
}

func TestFlat(t *testing.T) {
	text, share := flat([][]float64{{4e6, 1e6, 5e6}, {2e6}, {3e6}})
	if want := "4.0, 2.0, 3.0 million: the least is 50 % below the most"; text != want || share != 0.5 {
		t.Errorf("%q and %v, expected %q and 0.5", text, share, want)
	}
}

// The goals may be chosen with spaces behind the commas.
func TestChosenGoals(t *testing.T) {
	chosen, err := goals.Choose([]string{"tls", " window"})
	if err != nil || len(chosen) != 2 || chosen[0].Name != "window" || chosen[1].Name != "tls" {
		t.Errorf("chosen are %v (%v)", chosen, err)
	}
}

func TestArguments(t *testing.T) {
	for args, code := range map[string]int{
		"--help":                        measure.ExitOK,
		"--rounds 0":                    measure.ExitUsage,
		"--connected 0":                 measure.ExitUsage,
		"--scale 0":                     measure.ExitUsage,
		"--scale 1001":                  measure.ExitUsage,
		"more":                          measure.ExitUsage,
		"--only nothing":                measure.ExitUsage,
		"--bin nowhere --only lockstep": measure.ExitFailure,
	} {
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), append(strings.Fields(args), "--folder", t.TempDir()), &stdout, &stderr); got != code {
			t.Errorf("%s: code %d, expected %d: %s", args, got, code, stderr.String())
		}
	}
}
