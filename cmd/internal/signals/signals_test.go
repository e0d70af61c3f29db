package signals

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// asProgram makes this test's binary a program that stops in order. Its stop lasts
// as long as its standard input.
const asProgram = "LOTERIA_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx := Context()
	fmt.Println("running")
	<-ctx.Done()
	fmt.Println("stopping")
	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Println("stopped")
	os.Exit(0)
}

func TestSignals(t *testing.T) {
	for name, test := range map[string]struct {
		nohup   bool
		ignored []syscall.Signal // while it runs
		first   syscall.Signal   // the one that it stops for
		further []syscall.Signal // while it stops
		killed  syscall.Signal   // which of them ends it, if one does
	}{
		"SIGTERM":                   {first: syscall.SIGTERM},
		"SIGINT":                    {first: syscall.SIGINT},
		"SIGHUP":                    {first: syscall.SIGHUP},
		"a terminal that closes":    {first: syscall.SIGHUP, further: []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}},
		"Ctrl-C, then it closes":    {first: syscall.SIGINT, further: []syscall.Signal{syscall.SIGHUP}},
		"SIGTERM twice":             {first: syscall.SIGTERM, further: []syscall.Signal{syscall.SIGTERM}, killed: syscall.SIGTERM},
		"Ctrl-C twice":              {first: syscall.SIGINT, further: []syscall.Signal{syscall.SIGINT}, killed: syscall.SIGINT},
		"SIGTERM after SIGHUP":      {first: syscall.SIGHUP, further: []syscall.Signal{syscall.SIGTERM}, killed: syscall.SIGTERM},
		"SIGHUP under nohup":        {nohup: true, ignored: []syscall.Signal{syscall.SIGHUP}, first: syscall.SIGTERM},
		"SIGHUP under nohup, later": {nohup: true, first: syscall.SIGINT, further: []syscall.Signal{syscall.SIGHUP}},
	} {
		t.Run(name, func(t *testing.T) {
			if !test.nohup && signal.Ignored(syscall.SIGHUP) {
				t.Skip("SIGHUP is ignored here, as under nohup, and so by whatever is started")
			}
			cmd := exec.Command(os.Args[0])
			if test.nohup {
				cmd = exec.Command("sh", "-c", `trap "" HUP; exec "$0"`, os.Args[0])
			}
			cmd.Env = append(os.Environ(), asProgram+"=1")
			input, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			output, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			said := bufio.NewScanner(output)
			says := func(want string) {
				if said.Scan(); said.Text() != want {
					t.Fatalf("it says %q, want %q", said.Text(), want)
				}
			}
			send := func(signals ...syscall.Signal) {
				for _, s := range signals {
					if err := cmd.Process.Signal(s); err != nil {
						t.Fatalf("%v: %v", s, err)
					}
				}
			}

			says("running")
			send(test.ignored...)
			send(test.first)
			says("stopping")
			send(test.further...)
			if test.killed == 0 {
				input.Close()
				says("stopped")
			}
			_ = cmd.Wait()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if test.killed != 0 && status.Signal() != test.killed || test.killed == 0 && status.ExitStatus() != 0 {
				t.Errorf("it ended with %v, want it to be ended by %v", cmd.ProcessState, test.killed)
			}
		})
	}
}
