package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"loteria/codec"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// controlName is the socket of a contest that has one central.
const controlName = "control.sock"

// ctl runs server ctl on a folder, and returns its exit code and what it says.
func ctl(folder string, words ...string) (code int, stdout, stderr string) {
	var said, problems bytes.Buffer
	code = run(append([]string{"ctl", "--storage-dir", folder, "--config", "/dev/null"}, words...), nil, &said, &problems)
	return code, said.String(), problems.String()
}

// mustCtl runs server ctl, and returns its answer.
func mustCtl(t *testing.T, folder string, words ...string) string {
	t.Helper()
	code, said, problems := ctl(folder, words...)
	if code != 0 || problems != "" {
		t.Fatalf("ctl %q: exit code %d, %s%s", words, code, said, problems)
	}
	return said
}

// failsCtl expects server ctl to fail with one line that has the text.
func failsCtl(t *testing.T, code int, text, folder string, words ...string) {
	t.Helper()
	got, said, problems := ctl(folder, words...)
	if got != code || said != "" || !strings.Contains(problems, text) || strings.Count(problems, "\n") != 1 {
		t.Errorf("ctl %q: exit code %d, %q, %q, expected %d and %q", words, got, said, problems, code, text)
	}
}

// statusOf returns the status as scripts see it.
func statusOf(t *testing.T, folder string) (s statusAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(mustCtl(t, folder, "status", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// awaitStatus waits until is accepts the status.
func awaitStatus(t *testing.T, folder, what string, is func(statusAnswer) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s := statusOf(t, folder)
		if is(s) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %s: %+v", what, s)
		}
	}
}

// hasGone reports whether there is no socket in a folder.
func hasGone(folder string) bool {
	_, err := os.Lstat(filepath.Join(folder, controlName))
	return os.IsNotExist(err)
}

// Whatever the umask is, only its owner may use the socket, and it is gone after a
// stop.
func TestControlSocketIsPrivate(t *testing.T) {
	t.Parallel()
	for _, umask := range []string{"0", "022", "077"} {
		folder := t.TempDir()
		p := start(t, exec.Command("sh", "-c", "umask "+umask+`; exec "$0" "$@"`, os.Args[0], "--bind", "127.0.0.1", "--port", "0", "--admin=", "--storage-dir", folder))
		p.listens()
		info, err := os.Lstat(filepath.Join(folder, controlName))
		if err != nil || info.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("umask %s: %v, %v", umask, info, err)
		}
		p.Stop()
		if !hasGone(folder) || p.has("result: fail") || p.has("WARNING") {
			t.Errorf("umask %s: the socket has gone: %t\n%s", umask, hasGone(folder), p)
		}
	}
}

// Another user can do nothing, not even where somebody has opened the socket to all.
func TestControlOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	folder, err := os.MkdirTemp("", "control") // unlike that of a test, one that others may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	program, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "server"), program, 0o755)
	}
	if err == nil {
		err = os.Chmod(folder, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := launch(t, "--storage-dir", folder)
	asNobody := func() string {
		stranger := exec.Command(filepath.Join(folder, "server"), "ctl", "--storage-dir", folder, "drain")
		stranger.Env = append(os.Environ(), asServer+"=1")
		stranger.Dir = "/"
		stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		output, _ := stranger.CombinedOutput()
		if code := stranger.ProcessState.ExitCode(); code != 1 {
			t.Errorf("exit code %d", code)
		}
		return string(output)
	}
	if said := asNobody(); !strings.Contains(said, "user 65534 may not use control.sock") {
		t.Errorf("it says %q", said)
	}
	if err := os.Chmod(filepath.Join(folder, controlName), 0o666); err != nil {
		t.Fatal(err)
	}
	if said := asNobody(); !strings.Contains(said, "only the central's own user and root may do that") {
		t.Errorf("it says %q", said)
	}
	p.Await("action: control | result: fail | command: drain | by: user 65534, process ")
	mustCtl(t, folder, "status")
	p.Stop()
}

// A killed central leaves its socket. It is not taken for a central's, and the next
// one makes its own.
func TestControlAfterAKill(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	failsCtl(t, 1, "no central has "+folder+": there is no control.sock", folder, "status")
	failsCtl(t, 1, "no central has "+folder+"/none: there is no control.sock", filepath.Join(folder, "none"), "status")
	for range 2 {
		p := launch(t, "--storage-dir", folder)
		mustCtl(t, folder, "status")
		p.Signal(syscall.SIGKILL)
		p.End()
		failsCtl(t, 1, "no central has "+folder+": nobody answers on the control.sock in it, as when one was killed", folder, "status")
	}
	// It is in nobody's way.
	for _, args := range [][]string{{"--check", "--storage-dir", folder}, {"--export", "-", "--so-far", "--storage-dir", folder}, {"--import", folder, "--storage-dir", t.TempDir()}} {
		if p := begin(t, args...); p.End() != 0 {
			t.Errorf("%q: %s", args, p.Stderr())
		}
	}
	launch(t, "--storage-dir", folder).Stop()
	if !hasGone(folder) {
		t.Error("the socket is still there")
	}
}

// A second central on the folder ends, and the socket stays the first one's.
func TestControlIsNotTakenOver(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder)
	second := begin(t, "--storage-dir", folder)
	if code := second.End(); code != 1 || !second.has("WARNING  action: control_listen | result: in_progress | file: "+filepath.Join(folder, controlName)+" | reason: another central has it") {
		t.Errorf("exit code %d:\n%s", code, second)
	}
	mustCtl(t, folder, "status")
	p.Stop()
	if !hasGone(folder) {
		t.Error("the socket is still there")
	}
}

// A file that is no socket is not removed, and the lottery goes on; the socket is
// made as soon as it can be.
func TestControlCannotListen(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	obstacle := filepath.Join(folder, controlName)
	if err := os.WriteFile(obstacle, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := launch(t, "--storage-dir", folder)
	if !p.has("control_listen | result: in_progress | file: " + obstacle + " | reason: " + obstacle + " is no socket") {
		t.Errorf("the log has\n%s", p)
	}
	failsCtl(t, 1, "no central has "+folder, folder, "status")
	if content, err := os.ReadFile(obstacle); string(content) != "mine" {
		t.Errorf("%q, %v", content, err)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	p.Await("action: control_listen | result: success | file: " + obstacle)
	mustCtl(t, folder, "status")
	p.Stop()
	if p.Count("control_listen") != 2 || !hasGone(folder) {
		t.Errorf("the log has\n%s", p)
	}
}

// A path too long for a socket's address does no harm.
func TestControlOnALongPath(t *testing.T) {
	t.Parallel()
	storage := filepath.Join(t.TempDir(), strings.Repeat("l", 100), strings.Repeat("o", 200))
	folder := filepath.Join(storage, "navidad")
	p := launch(t, "--storage-dir", storage, "--contest", "navidad")
	if said := mustCtl(t, storage, "status", "--contest=navidad"); !strings.Contains(said, "contest      navidad\n") {
		t.Errorf("it says %s", said)
	}
	failsCtl(t, 1, "no central has "+storage+": ", storage, "status")
	if said := mustCtl(t, storage, "--contest", "navidad", "drain"); !strings.HasSuffix(said, "the central has ended, with exit code 0\n") {
		t.Errorf("it says %s", said)
	}
	if code := p.End(); code != 0 || !hasGone(folder) {
		t.Errorf("exit code %d, the socket has gone: %t", code, hasGone(folder))
	}
}

// While the ledger is opened, the status says so, and nothing can be changed.
func TestControlWhileTheContestIsOpened(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(folder, csvledger.StateFile), 0o600); err != nil { // its reader waits for a writer
		t.Skip(err)
	}
	p := begin(t, "--storage-dir", folder, "--shutdown-timeout", "0s")
	p.Await("action: control_listen | result: success")
	if said := mustCtl(t, folder, "status"); !strings.Contains(said, "recovering the ledger; started") || !strings.Contains(said, "starting\n") {
		t.Errorf("it says %s", said)
	}
	if s := statusOf(t, folder); s.Phase != "starting" || s.Ready || s.Expected != 5 {
		t.Errorf("the status is %+v", s)
	}
	for _, words := range [][]string{{"end", "1"}, {"deadline", "2099-12-24 18:00"}, {"drain"}} {
		failsCtl(t, 1, "the central is starting", folder, words...)
	}
	p.Signal(syscall.SIGTERM)
	if code := p.End(); code != 1 || !hasGone(folder) {
		t.Errorf("exit code %d, the socket has gone: %t", code, hasGone(folder))
	}
}

// Agencies that never finish are ended, one after the other, until the draw, as
// with --draw-without, and without a restart.
func TestControlEnd(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	args := []string{"--storage-dir", folder, "--expected-agencies", "3"}
	p := launch(t, args...)
	conn := p.dial()
	p.exchange(conn, []codec.Message{&codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}}, []codec.Message{stored, finished})
	send(t, conn, &codec.WinnersQuery{Agency: "1"})
	failsCtl(t, 1, "unknown_agency: the agency is 4, expected are 1 to 3", folder, "end", "2", "4")
	if s := statusOf(t, folder); s.Finished != 1 || len(s.Waiting) != 2 || s.Waiting[0].Agency != 2 || s.Phase != lottery.Betting {
		t.Errorf("nothing was to be done: %+v", s)
	}
	for _, step := range []struct{ words, says string }{
		{"end 1", "agency 1: it had finished already, with 1 bets\nagencies that the draw waits for: 2\n"},
		{"end 3 3", "agency 3: its betting is ended, with 0 bets\nagencies that the draw waits for: 1\n"},
		{"end 3,1", "agency 1: it had finished already, with 1 bets\nagency 3: its betting had been ended before, with 0 bets\nagencies that the draw waits for: 1\n"},
		{"end 2 --json", `{"agencies":[{"agency":2,"result":"ended","bets":0}],"phase":"drawn","awaited":0}` + "\n"},
		{"end 2", "agency 2: its betting had been ended before, with 0 bets\nthe draw is made\n"},
	} {
		if said := mustCtl(t, folder, strings.Fields(step.words)...); said != step.says {
			t.Errorf("%s: it says %q, expected %q", step.words, said, step.says)
		}
	}
	p.exchange(conn, nil, []codec.Message{&codec.Winners{Documents: []string{raw.Document}}})
	said := mustCtl(t, folder, "status")
	for _, line := range []string{"phase        drawn, since ", "agencies     betting has ended of 3 of 3", "missing      2 3", "bets         1 stored", "winners      1"} {
		if !strings.Contains(said, line) {
			t.Errorf("the status is\n%sexpected %q", said, line)
		}
	}
	p.Stop()
	for line, n := range map[string]int{
		"WARNING  action: end_betting | result: success | missing: [3]":   1,
		"WARNING  action: end_betting | result: success | missing: [2,3]": 1,
		"action: control | result: success | command: end | by: user ":    5,
		" | agencies: [2] | ended: [2]":                                   1,
		"action: control | result: fail":                                  1, // the unknown agency
		drawn:                                                             1,
	} {
		if got := p.Count(line); got != n {
			t.Errorf("%d lines have %q, expected %d:\n%s", got, line, n, p)
		}
	}
	for _, line := range p.Lines() {
		if !shape.MatchString(line) {
			t.Errorf("a line of the log has another shape: %q", line)
		}
	}
	p = launch(t, args...)
	if s := statusOf(t, folder); s.Phase != lottery.Drawn || fmt.Sprint(s.Missing) != "[2 3]" {
		t.Errorf("after a restart the status is %+v", s)
	}
	p.Stop()
}

// The deadline by the rules of --draw-deadline. A time without an offset is in the
// central's zone, not in the caller's.
func TestControlDeadline(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := start(t, command("--storage-dir", folder, "--expected-agencies", "2"), "TZ=America/Argentina/Buenos_Aires")
	p.listens()
	failsCtl(t, 1, "has passed and nobody has bet", folder, "deadline", "2025-12-24T18:00:00-03:00")
	for _, step := range []struct{ time, says string }{
		{"2099-12-24 18:00", "deadline: 2099-12-24T18:00:00-03:00 (America/Argentina/Buenos_Aires); before, there was none\n"},
		{"2099-12-24T21:00:00Z", "deadline: 2099-12-24T18:00:00-03:00 (America/Argentina/Buenos_Aires); as before\n"},
		{"2098-12-24T18:00", "deadline: 2098-12-24T18:00:00-03:00 (America/Argentina/Buenos_Aires); before, it was 2099-12-24T18:00:00-03:00\n"},
	} {
		if said := mustCtl(t, folder, append([]string{"deadline"}, strings.Fields(step.time)...)...); said != step.says {
			t.Errorf("%s: it says %q, expected %q", step.time, said, step.says)
		}
	}
	if s := statusOf(t, folder); s.Deadline == nil || !s.Deadline.Equal(time.Date(2098, 12, 24, 21, 0, 0, 0, time.UTC)) {
		t.Errorf("the status is %+v", s)
	}
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	failsCtl(t, 1, "has passed, and agencies may bet until 2098-12-24T18:00:00-03:00", folder, "deadline", "2025-12-24 18:00")
	for soon := time.Second; ; soon *= 2 { // it must not have passed when it comes there
		code, _, problems := ctl(folder, "deadline", time.Now().Add(soon).Format(time.RFC3339Nano))
		if code == 0 {
			break
		}
		if !strings.Contains(problems, "has passed") || soon > patience {
			t.Fatal(problems)
		}
	}
	p.Await(endedBoth)
	awaitStatus(t, folder, "drawn", func(s statusAnswer) bool { return s.Phase == lottery.Drawn })
	failsCtl(t, 1, "betting has ended, so a deadline is of no use any more", folder, "deadline", "2099-12-24 18:00")
	mustCtl(t, folder, "drain")
	p.End()
	if p.Count(drawn) != 1 || p.Count("draw_deadline | result: success | deadline: 2098-12-24T18:00:00-03:00 | zone: America/Argentina/Buenos_Aires | left: ") != 1 ||
		p.Count("action: control | result: success | command: deadline | by: user ") != 4 {
		t.Errorf("the log has\n%s", p)
	}
}

// A deadline that has passed draws at once, where there was none, and the answer
// comes with the draw.
func TestControlDeadlineThatHasPassed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder, "--expected-agencies", "2")
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	if said := mustCtl(t, folder, "deadline", "2025-12-24 18:00"); !strings.HasSuffix(said, "; before, there was none\nthe draw is made\n") {
		t.Errorf("it says %s", said)
	}
	p.Stop()
	if p.Count(endedBoth) != 1 || p.Count(drawn) != 1 {
		t.Errorf("the log has\n%s", p)
	}
}

// Agencies that were ended before the deadline are not told of a second time at it.
func TestControlEndBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder, "--expected-agencies", "2")
	mustCtl(t, folder, "deadline", time.Now().Add(8*time.Second).Format(time.RFC3339Nano))
	mustCtl(t, folder, "end", "2", "1")
	awaitStatus(t, folder, "after the deadline", func(s statusAnswer) bool { return s.Now.After(s.Deadline.Add(2 * lookInterval)) })
	p.Stop()
	if p.Count("end_betting") != 1 || p.Count(endedBoth) != 1 || p.Count(drawn) != 1 {
		t.Errorf("the log has\n%s", p)
	}
}

// A drain is a SIGTERM: nothing that was accepted is lost, and its callers are told
// when the process has gone.
func TestControlDrain(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder)
	conn := p.dial()
	p.exchange(conn, []codec.Message{&codec.Bet{RawBet: raw}, &codec.WinnersQuery{Agency: "1"}}, []codec.Message{stored})
	var running sync.WaitGroup
	for range 3 { // the first to come does it, all wait
		running.Go(func() {
			code, said, problems := ctl(folder, "drain")
			if strings.Contains(problems, "no central has") || strings.Contains(problems, "the central stops") || strings.Contains(problems, "has ended before it has answered") {
				return // it was too late
			}
			if code != 0 || !strings.HasPrefix(said, "the central stops: ") || !strings.HasSuffix(said, "\nthe central has ended, with exit code 0\n") {
				t.Errorf("exit code %d, %q, %q", code, said, problems)
			}
			if !hasExited(t, p.PID()) {
				t.Error("the process is still there")
			}
		})
	}
	running.Wait()
	if code := p.End(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.Stderr())
	}
	for _, action := range []string{"close_listener", "close_workers", "close_ledger", "exit"} {
		if p.Count("action: "+action+" | result: success") != 1 {
			t.Errorf("the log does not say once that %s:\n%s", action, p)
		}
	}
	if n := p.Count("action: control | result: success | command: drain"); n < 1 || p.has("result: fail") || !hasGone(folder) {
		t.Errorf("the log has\n%s", p)
	}
	rows, err := os.ReadFile(filepath.Join(folder, csvledger.LedgerFile))
	if err != nil || !bytes.Contains(rows, []byte(raw.Document)) {
		t.Errorf("%q, %v: the bet is lost", rows, err)
	}
}

// hasExited reports whether a process has given up its memory, which it does before
// its files. It may still have to be waited for.
func hasExited(t *testing.T, process int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
	const size = 20                               // after the state, which is the first
	fields := strings.Fields(rest)
	if len(fields) <= size {
		t.Fatalf("/proc has %q", stat)
	}
	return fields[size] == "0"
}

// The failure of a draining central is told, too.
func TestControlDrainOfACentralThatFails(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder, "--expected-agencies", "1", "--shutdown-timeout", "0s")
	if err := os.Mkdir(filepath.Join(folder, csvledger.StateFile+".new"), 0o755); err != nil {
		t.Fatal(err)
	}
	send(t, p.dial(), &codec.Finished{Agency: "1"})
	p.Await("action: save_contest | result: in_progress | tries: 1 | error: ")
	code, _, problems := ctl(folder, "drain")
	if ended := p.End(); ended != code || ended != 1 || !strings.Contains(problems, "the central has ended with exit code 1: ") {
		t.Errorf("ctl exits with %d, the central with %d: %s", code, ended, problems)
	}
}

// More concurrent callers than connections: each is answered, and each agency is
// ended by one of them.
func TestControlAtTheSameTime(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	const callers = 3 * maxControls
	p := launch(t, "--storage-dir", folder, "--expected-agencies", strconv.Itoa(callers))
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() {
			code, said, problems := ctl(folder, "end", strconv.Itoa(i+1))
			if code != 0 || !strings.Contains(said, fmt.Sprintf("agency %d: its betting is ended, with 0 bets\n", i+1)) {
				t.Errorf("agency %d: exit code %d, %s%s", i+1, code, said, problems)
			}
		})
		running.Go(func() {
			if code, _, problems := ctl(folder, "status"); code != 0 {
				t.Errorf("status: exit code %d, %s", code, problems)
			}
		})
	}
	running.Wait()
	if s := statusOf(t, folder); s.Phase != lottery.Drawn || len(s.Missing)+s.MoreMissing != callers {
		t.Errorf("the status is %+v", s)
	}
	p.Stop()
	if n := p.Count(drawn); n != 1 {
		t.Errorf("there were %d draws", n)
	}
}

// A thousand agencies: the lists have their bound, and all can be ended at once.
func TestControlOfManyAgencies(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder, "--expected-agencies", "1000")
	if said := mustCtl(t, folder, "status"); !strings.HasSuffix(said, "\nand 980 more\n") || strings.Count(said, "\n") > 40 {
		t.Errorf("the status is\n%s", said)
	}
	if s := statusOf(t, folder); len(s.Waiting) != maxAwaited || s.MoreWaiting != 980 || len(s.Agencies) != 200 || s.More != 800 {
		t.Errorf("the status has %d and %d more, %d and %d more", len(s.Waiting), s.MoreWaiting, len(s.Agencies), s.More)
	}
	words := []string{"end"}
	for i := range 1000 {
		words = append(words, strconv.Itoa(i+1))
	}
	if said := mustCtl(t, folder, words...); strings.Count(said, "its betting is ended") != 1000 || !strings.HasSuffix(said, "the draw is made\n") {
		t.Errorf("it says\n%s", said)
	}
	if said := mustCtl(t, folder, "status"); !strings.Contains(said, "missing      1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 and 980 more\n") {
		t.Errorf("the status is\n%s", said)
	}
	p.Stop()
}

// While contest.json cannot be saved, an end waits, and succeeds as soon as it can
// be; meanwhile the status says what is wrong.
func TestControlWhileTheContestCannotBeSaved(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder, "--expected-agencies", "1")
	obstacle := filepath.Join(folder, csvledger.StateFile+".new")
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() {
		_, said, problems := ctl(folder, "end", "1")
		answered <- said + problems
	}()
	p.Await("action: save_contest | result: in_progress | tries: 1 | error: ")
	if said := mustCtl(t, folder, "status"); !strings.Contains(said, "hindered: ") || !strings.Contains(said, obstacle) {
		t.Errorf("the status is\n%s", said)
	}
	select {
	case said := <-answered:
		t.Errorf("it says %q before it is durable", said)
	default:
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if said := <-answered; said != "agency 1: its betting is ended, with 0 bets\nthe draw is made\n" {
		t.Errorf("it says %q", said)
	}
	p.Stop()
	if p.Count(drawn) != 1 || p.Count("end_betting | result: success | missing: [1]") != 1 {
		t.Errorf("the log has\n%s", p)
	}
}

// A stop in the middle of a request ends it, with an answer.
func TestStopInTheMiddleOfAControl(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder, "--expected-agencies", "1", "--shutdown-timeout", "0s")
	if err := os.Mkdir(filepath.Join(folder, csvledger.StateFile+".new"), 0o755); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 2)
	for range 2 { // the second waits for the first
		go func() {
			code, said, problems := ctl(folder, "end", "1")
			answered <- fmt.Sprintf("%d %s%s", code, said, problems)
		}()
	}
	p.Await("action: save_contest | result: in_progress | tries: 1 | error: ")
	p.Signal(syscall.SIGTERM)
	told := 0
	for range 2 {
		said := <-answered
		if !strings.HasPrefix(said, "1 server ctl: ") || strings.Count(said, "\n") != 1 {
			t.Errorf("it says %q", said)
		}
		if strings.Contains(said, "the central stops: ask it again") {
			told++
		}
	}
	if told == 0 { // the second may have come when nobody listened any more
		t.Error("nobody is told that the central stops")
	}
	p.End() // with 0 or 1: what could not be saved may not be closed in time
	if !hasGone(folder) {
		t.Error("the socket is still there")
	}
}

// Clients that speak no HTTP, stall, or ask for too much, disturb nobody.
func TestControlOfWhoeverIsOutOfOrder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	p := launch(t, "--storage-dir", folder)
	dial := func() net.Conn {
		conn, err := dialControl(t.Context(), folder, controlName)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	for range maxControls - 1 { // they say a half
		_, _ = dial().Write([]byte("GET /sta"))
	}
	post := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	}
	for request, want := range map[string]string{
		"\x16\x03\x01\x02\x00\r\n\r\n":                "HTTP/1.1 400 ",
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n":    "HTTP/1.1 404 ",
		"GET /end HTTP/1.1\r\nHost: x\r\n\r\n":        "HTTP/1.1 405 ",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":       "HTTP/1.1 ",
		post("/end", `{}`):                            "no agency is named",
		post("/end", `{"}`):                           "the request cannot be read",
		post("/end", `{"agencies":[-1]}`):             "unknown_agency: the agency is -1",
		post("/end", `{"agency":[1]}`):                "unknown field",
		post("/end", strings.Repeat(" ", 2<<20)):      "request body too large",
		post("/deadline", `{"deadline":"a\u001bb|"}`): "is not a time; allowed: a time like",
		post("/deadline", `{}`):                       "is not a time",
	} {
		conn := dial()
		_, _ = conn.Write([]byte(request))
		var answer bytes.Buffer
		_, _ = answer.ReadFrom(conn)
		if !strings.Contains(answer.String(), want) {
			t.Errorf("%.80q: %q, expected %q", request, &answer, want)
		}
		conn.Close()
	}
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	mustCtl(t, folder, "status")
	p.Stop()
	for _, line := range p.Lines() {
		if !shape.MatchString(line) {
			t.Errorf("a line of the log has another shape: %q", line)
		}
	}
}
