package signals

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"testing"

	"loteria/internal/process/processtest"
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
			defer input.Close()
			p := processtest.Start(t, cmd, nil)
			send := func(signals ...syscall.Signal) {
				for _, s := range signals {
					p.Signal(s)
				}
			}
			p.Await("running")
			send(test.ignored...)
			send(test.first)
			p.Await("stopping")
			send(test.further...)
			lines, how := []string{"running", "stopping"}, fmt.Sprint("ended with signal: ", test.killed)
			if test.killed == 0 {
				input.Close()
				lines, how = append(lines, "stopped"), "exited with code 0"
			}
			if p.End(); p.How() != how || !slices.Equal(p.Lines(), lines) {
				t.Errorf("it %s, want that it %s: %v", p.How(), how, p)
			}
		})
	}
}
