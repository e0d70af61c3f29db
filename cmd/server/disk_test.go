package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// bets.csv is taken away from an idle central: it stops, says what has happened,
// and so does the next start.
func TestBetsAreTakenAway(t *testing.T) {
	for name, test := range map[string]struct {
		do         func(path string) error
		says, next string
	}{
		"removed":        {os.Remove, "it was removed or renamed", "bets.csv is missing, 43 bytes of it were on disk"},
		"renamed":        {func(path string) error { return os.Rename(path, path+".1") }, "it was removed or renamed", "bets.csv is missing, 43 bytes of it were on disk"},
		"copied and cut": {func(path string) error { return os.Truncate(path, 0) }, "it was cut to 0 bytes, stored are 43", "rows are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storage := t.TempDir()
			p := launch(t, "--storage-dir", storage, "--expected-agencies", "2")
			p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
			path := filepath.Join(storage, csvledger.LedgerFile)
			if err := test.do(path); err != nil {
				t.Fatal(err)
			}
			if code := p.End(); code != 1 {
				t.Errorf("exit code %d, expected 1", code)
			}
			logged := ""
			if i := p.index("action: ledger | result: fail"); i >= 0 {
				logged = p.Lines()[i]
			}
			for _, said := range []string{logged, p.Stderr()} {
				if !strings.Contains(said, path+": "+test.says) || !strings.Contains(said, "docs/operators.md") {
					t.Errorf("it says %q, expected %q", said, test.says)
				}
			}
			if said := refuses(t, 1, "--storage-dir", storage, "--expected-agencies", "2"); !strings.Contains(said, test.next) {
				t.Errorf("the next start says %q, expected %q", said, test.next)
			}
		})
	}
}

// Bets without a contest.json are only taken up with --reopen.
func TestReopen(t *testing.T) {
	storage := t.TempDir()
	args := []string{"--storage-dir", storage, "--expected-agencies", "2"}
	startLottery(t, args...)
	if err := os.Remove(filepath.Join(storage, csvledger.StateFile)); err != nil {
		t.Fatal(err)
	}
	if said := refuses(t, 1, args...); !strings.Contains(said, "contest.json is missing") || !strings.Contains(said, "--reopen") {
		t.Error(said)
	}
	for _, again := range [][]string{append(args, "--reopen"), args} {
		p := launch(t, again...)
		p.exchange(p.dial(), []codec.Message{&codec.Resume{Agency: "2"}}, []codec.Message{&codec.ResumePoint{Digest: emptyDigest}})
		p.Stop()
		if !p.has("| bets: 1 | phase: betting") {
			t.Errorf("the bet is not there:\n%s", p)
		}
	}
}

// While contest.json cannot be saved, agencies are told to retry, the log says so
// once, /readyz all the time, and when it can be, the draw is made.
func TestContestCannotBeSaved(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	storage := t.TempDir()
	p := launch(t, "--storage-dir", storage, "--expected-agencies", "1", "--admin", "127.0.0.1:0")
	url := p.admin()
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	obstacle := filepath.Join(storage, csvledger.StateFile+".new")
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	conn := p.dial()
	send(t, conn, &codec.Finished{Agency: "1"})
	line := p.Await("action: save_contest | result: in_progress | tries: 1 | error: ")
	if !strings.Contains(line, obstacle) || !shape.MatchString(line) {
		t.Errorf("the log has %q", line)
	}
	awaitReady := func(code int, text string) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			got, body := get(t, url+"/readyz")
			if got == code && strings.Contains(body, text) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("/readyz answers %d %s, expected %d %s", got, body, code, text)
			}
		}
	}
	awaitReady(503, "hindered: ")
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	awaitReady(200, "the draw is done")
	p.Stop()
	if p.Count("save_contest | result: in_progress") != 1 || p.Count("save_contest | result: success") != 1 || p.Count(drawn) != 1 {
		t.Errorf("the log has\n%s", p)
	}
}

// A drawn lottery is served from a disk that is full or read-only.
func TestDrawnIsServedFromAnyDisk(t *testing.T) {
	drawnLottery := func(t *testing.T) (storage string) {
		storage = t.TempDir()
		p := launch(t, "--storage-dir", storage, "--expected-agencies", "1", "--fsync=never")
		p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}, &codec.WinnersQuery{Agency: "1"}},
			[]codec.Message{stored, finished, &codec.Winners{Documents: []string{raw.Document}}})
		p.Stop()
		return storage
	}
	check := func(t *testing.T, p *process) {
		t.Helper()
		p.listens()
		p.exchange(p.dial(), []codec.Message{&codec.WinnersQuery{Agency: "1"}, &codec.Finished{Agency: "1"}, &codec.Bet{RawBet: raw}},
			[]codec.Message{&codec.Winners{Documents: []string{raw.Document}}, finished, &codec.Error{Code: lottery.DrawDone}})
		p.Stop()
		if p.has("save_contest") || p.has("action: ledger |") {
			t.Errorf("the log has\n%s", p)
		}
	}
	ownMounts := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	probe := exec.Command("mount", "-t", "tmpfs", "tmpfs", t.TempDir())
	probe.SysProcAttr = ownMounts
	_, cannotMount := probe.CombinedOutput()
	for name, script := range map[string]string{
		"full":      `head -c 1m /dev/zero >"$2/filler" 2>/dev/null; ! echo x >>"$2/filler" || exit 98; `,
		"read-only": `mount -o remount,ro "$2" || exit 99; `,
	} {
		t.Run(name, func(t *testing.T) {
			if cannotMount != nil {
				t.Skipf("no disk can be mounted here: %v", cannotMount)
			}
			storage, disk := drawnLottery(t), t.TempDir()
			cmd := exec.Command("sh", "-c", `mount -t tmpfs -o size=64k tmpfs "$2" && cp "$1"/* "$2"/ || exit 97
`+script+`exec "$3" --bind 127.0.0.1 --port 0 --admin= --storage-dir "$2" --expected-agencies 1`, "sh", storage, disk, os.Args[0])
			cmd.SysProcAttr = ownMounts
			p := start(t, cmd)
			check(t, p)
			if p.has("action: open_read_only | result: success") != (name == "read-only") {
				t.Errorf("the log has\n%s", p)
			}
		})
	}
	t.Run("no right to write", func(t *testing.T) {
		storage := drawnLottery(t)
		for _, path := range []string{filepath.Join(storage, csvledger.LedgerFile), filepath.Join(storage, csvledger.StateFile), storage} {
			if err := os.Chmod(path, 0o555); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { _ = os.Chmod(storage, 0o755) })
		check(t, begin(t, "--storage-dir", storage, "--expected-agencies", "1")) // root sees no difference
	})
}
