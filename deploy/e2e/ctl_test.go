//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"loteria/docs/markdown"
	"loteria/lottery"
)

// ctl runs server ctl in the central's container, and returns the exit code and
// the output.
func (l *lab) ctl(words ...string) (code int, stdout, stderr string) {
	l.Helper()
	var said, problems bytes.Buffer
	c := l.command(nil, "docker", append([]string{"compose", "-f", composeName, "exec", "-T", "server", "/server", "ctl"}, words...)...)
	c.Stdout, c.Stderr = &said, &problems
	err := c.Run()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		l.Fatal(err)
	}
	return c.ProcessState.ExitCode(), said.String(), problems.String()
}

func (l *lab) mustCtl(words ...string) string {
	l.Helper()
	code, said, problems := l.ctl(words...)
	if code != 0 {
		l.Fatalf("ctl %q: exit code %d: %s%s", words, code, said, problems)
	}
	return said
}

// status is what a script sees of ctl status --json.
type status struct {
	Contest  string        `json:"contest"`
	Phase    lottery.Phase `json:"phase"`
	Finished int           `json:"finished"`
	Bets     int           `json:"bets"`
	Winners  *int          `json:"winners"`
	Missing  []int         `json:"missing"`
	Awaited  []struct {
		Agency int `json:"agency"`
	} `json:"awaited_agencies"`
}

func (l *lab) status() (s status) {
	l.Helper()
	if err := json.Unmarshal([]byte(l.mustCtl("status", "--json")), &s); err != nil {
		l.Fatal(err)
	}
	return s
}

// An agency never connects. It is ended without a restart of the central, the
// others get their winners, and the central is also stopped by its socket.
func TestCtl(t *testing.T) {
	l, files := newSmallLottery(t)
	present, absent := files[:2], len(files)
	l.up("server", "client1", "client2")
	l.await("server", "agencia_finalizada", "success", len(present))

	before := l.status()
	if before.Contest != l.contest() || before.Phase != lottery.Betting || before.Finished != 2 || len(before.Awaited) != 1 || before.Awaited[0].Agency != absent || before.Winners != nil {
		t.Errorf("the status is %+v", before)
	}
	said := l.mustCtl("status")
	for _, text := range []string{"contest      " + l.contest(), "phase        betting", "agencies     betting has ended of 2 of 3", "the draw waits for\n"} {
		if !strings.Contains(said, text) {
			t.Errorf("the status is\n%sexpected %q", said, text)
		}
	}
	if code, _, problems := l.ctl("end", "4"); code != 1 || !strings.Contains(problems, "unknown_agency") {
		t.Errorf("exit code %d, %s", code, problems)
	}
	if code, _, problems := l.ctl("stop"); code != 2 || !strings.Contains(problems, `"stop" is no command`) {
		t.Errorf("exit code %d, %s", code, problems)
	}

	if said := l.shell(markdown.Quoted("docker compose exec server /server ctl end 3")); said != "agency 3: its betting is ended, with 0 bets\nthe draw is made\n" {
		t.Errorf("it says %q", said)
	}
	l.finish(len(present))
	for i := range present {
		name := client(i + 1)
		if got := l.logs(name).of("consulta_ganadores", "success"); len(got) != 1 || got.sum("cant_ganadores") != smallWinners[i] {
			t.Errorf("%s was told %v, want %d winners", name, got, smallWinners[i])
		}
	}
	l.checkStored(l.contest(), present)
	l.await("server", "sorteo", "success", 1)
	central := l.logs("server")
	l.checkLine("server", central, 1, "action: sorteo | result: success")
	l.checkLine("server", central, 1, "action: end_betting | result: success | missing: [3]")
	if n := len(central.of("open_contest", "success")); n != 1 {
		t.Errorf("the central was started %d times", n)
	}
	after := l.status()
	if after.Phase != lottery.Drawn || after.Finished != 3 || after.Bets != before.Bets || after.Winners == nil || *after.Winners != smallWinners[0]+smallWinners[1] || len(after.Missing) != 1 {
		t.Errorf("the status is %+v", after)
	}
	if said := l.mustCtl("status"); !strings.Contains(said, "phase        drawn, since ") || !strings.Contains(said, "missing      3\n") {
		t.Errorf("the status is\n%s", said)
	}

	if said := l.mustCtl("drain"); !strings.HasSuffix(said, "the central has ended, with exit code 0\n") {
		t.Errorf("it says %q", said)
	}
	if code := l.exitCode("server"); code != 0 {
		t.Errorf("the central has exited with %d", code)
	}
	l.checkLogged("server", "close_listener", "close_workers", "close_ledger", "exit")
	if l.running("server") {
		t.Error("the central was started again")
	}
}
