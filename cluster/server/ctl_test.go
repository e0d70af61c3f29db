package server_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/codec"
	"loteria/internal/process/processtest"
)

// ctl operates the central that has its socket below a folder, and returns the exit
// code and the output.
func ctl(t *testing.T, storage string, args []string, words ...string) (code int, stdout, stderr string) {
	t.Helper()
	var said, problems bytes.Buffer
	cmd := exec.Command(program(t), append(append([]string{"ctl", "--storage-dir", storage}, args...), words...)...)
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = &said, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), said.String(), problems.String()
}

// Two centrals of one contest are each operated through their own folder, and an
// action at one takes effect at the other.
func TestCtl(t *testing.T) {
	c := natstest.Start(t, 3)
	args := with(on(c), "--expected-agencies", "3")
	var centrals [2]*processtest.Process
	var folders, addresses [2]string
	for i := range centrals {
		folders[i] = t.TempDir()
		centrals[i] = begin(t, with(args, "--storage-dir", folders[i], "--central", string(rune('a'+i)))...)
		addresses[i] = listens(centrals[i])
	}
	expect := func(central, code int, says string, words ...string) {
		t.Helper()
		named := with(args, "--central="+string(rune('a'+central)))
		if strings.HasPrefix(words[len(words)-1], "--central") {
			named = args
		}
		got, said, problems := ctl(t, folders[central], named, words...)
		if text := said + problems; got != code || !strings.Contains(text, says) {
			t.Fatalf("ctl %q: exit code %d, %s, expected %d and %q", words, got, text, code, says)
		}
	}
	// A third one shares the folder, and a fourth one also its name: that one runs
	// without a socket.
	third := begin(t, with(args, "--storage-dir", folders[0], "--central", "c")...)
	listens(third)
	expect(0, 0, "central      a, taking bets", "status")
	expect(0, 0, "central      c, taking bets", "status", "--central=c")
	fourth := begin(t, with(args, "--storage-dir", folders[0], "--central", "c")...)
	fourth.Await("action: control_listen | result: in_progress | file: " + filepath.Join(folders[0], args[3], "control-c.sock") + " | reason: another central has it")
	listens(fourth)
	fourth.Stop()
	expect(0, 0, "the central has ended", "drain", "--central=c")
	third.End()
	expect(0, 1, "no central has ", "status", "--central=c")
	expect(0, 0, "central      a, taking bets", "status")

	exchange(t, addresses[0], []codec.Message{&codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}}, []codec.Message{stored, &codec.Success{Finished: true}})
	expect(1, 0, "deadline: 2099-12-24T18:00:00Z", "deadline", "2099-12-24T18:00:00Z")
	awaitCtl(t, "the deadline at the other one", func() bool {
		_, said, _ := ctl(t, folders[0], args, "status", "--json", "--central=a")
		return strings.Contains(said, `"deadline":"2099-12-24T18:00:00Z"`)
	})
	expect(0, 1, "unknown_agency", "end", "2", "4")
	expect(0, 0, "agency 2: its betting is ended, with 0 bets\nagencies that the draw waits for: 1\n", "end", "2")
	awaitCtl(t, "the end at the other one", func() bool {
		_, said, _ := ctl(t, folders[1], args, "status", "--json", "--central=b")
		return strings.Contains(said, `"missing":[2]`)
	})

	// While no server can be reached, an end waits for them.
	heal := c.CutAllClients()
	answered := make(chan string, 1)
	go func() {
		_, said, problems := ctl(t, folders[1], args, "end", "3", "1", "--central=b")
		answered <- said + problems
	}()
	awaitCtl(t, "what is wrong", func() bool {
		_, said, _ := ctl(t, folders[1], args, "status", "--central=b")
		return strings.Contains(said, "\nledger       ")
	})
	heal()
	if said := <-answered; said != "agency 1: it had finished already, with 1 bets\nagency 3: its betting is ended, with 0 bets\nthe draw is made\n" {
		t.Errorf("it says %q", said)
	}
	exchange(t, addresses[0], []codec.Message{&codec.WinnersQuery{Agency: "1"}}, []codec.Message{told})
	for i, p := range centrals {
		expect(i, 0, "the central has ended, with exit code 0\n", "drain")
		if code := p.End(); code != 0 {
			t.Errorf("exit code %d: %v", code, p)
		}
	}
	expect(0, 1, "no central has ", "status")
	var won struct {
		Document string `json:"document"`
	}
	said, _ := do(t, 0, with(args, "--winners", "--format=json")...)
	if err := json.Unmarshal([]byte(said), &won); err != nil || won.Document != raw.Document {
		t.Errorf("%s, %v", said, err)
	}
}

// awaitCtl waits until is returns true.
func awaitCtl(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("no sign of %s", what)
		}
	}
}

// A central that waits for its servers says so, and cannot be operated yet.
func TestCtlBeforeNATS(t *testing.T) {
	folder := t.TempDir()
	args := []string{"--ledger", "nats://127.0.0.1:1", "--contest", "x"}
	p := begin(t, with(args, "--storage-dir", folder)...)
	p.Await("action: control_listen | result: success")
	awaitCtl(t, "why it waits", func() bool {
		_, said, _ := ctl(t, folder, args, "status")
		return strings.Contains(said, " starting\n") && strings.Contains(said, "connection refused")
	})
	if code, _, problems := ctl(t, folder, args, "end", "1"); code != 1 || !strings.Contains(problems, "the central is starting") {
		t.Errorf("exit code %d, %s", code, problems)
	}
	p.Stop()
}
