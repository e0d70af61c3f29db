package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/lottery/ledgertest"
)

// Flags of the server may stand anywhere, and take their values as they do there.
func TestParseCtl(t *testing.T) {
	for line, want := range map[string]ctlCall{
		"status":                                    {command: "status"},
		"--contest navidad status --json":           {command: "status", json: true, flags: []string{"--contest", "navidad"}},
		"--json status --contest=navidad":           {command: "status", json: true, flags: []string{"--contest=navidad"}},
		"status --storage-dir /bets --config x.ini": {command: "status", flags: []string{"--storage-dir", "/bets", "--config", "x.ini"}},
		"end 3":                             {command: "end", agencies: []int{3}},
		"end 3 7,8 9,":                      {command: "end", agencies: []int{3, 7, 8, 9}},
		"end 3, 7":                          {command: "end", agencies: []int{3, 7}},
		"--contest=x end --storage-dir=y 3": {command: "end", agencies: []int{3}, flags: []string{"--contest=x", "--storage-dir=y"}},
		"deadline 2026-12-24 18:00":         {command: "deadline", deadline: "2026-12-24 18:00"},
		"deadline 2026-12-24T18:00:00-03:00 --contest=x": {command: "deadline", deadline: "2026-12-24T18:00:00-03:00", flags: []string{"--contest=x"}},
		"drain":      {command: "drain"},
		"end --help": {help: true},
		"-h":         {help: true},
		"--version":  {flags: []string{"--version"}},
	} {
		if got, err := parseCtl(strings.Fields(line)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", line, got, err, want)
		}
	}
	for line, says := range map[string]string{
		"":                         "no command is given",
		"--contest navidad":        "no command is given",
		"stat":                     `"stat" is no command`,
		"status now":               `status takes no argument, and "now" is given`,
		"drain 5s":                 "drain takes no argument",
		"end":                      "end takes the numbers of agencies, and none is given",
		"end all":                  `and "all" is given`,
		"end 0":                    `and "0" is given`,
		"end 3;7":                  `and "3;7" is given`,
		"deadline":                 `and "" is given`,
		"deadline tomorrow":        `and "tomorrow" is given`,
		"deadline 24.12.2026 18 h": "deadline takes a time like",
		"status --expected 5":      "--expected",
		"status --check":           "a flag asks the server itself to do something",
		"status --winners":         "a flag asks the server itself to do something",
		"status --contest a/b":     "--contest",
		"-x status":                `"-x" is no command`,
	} {
		var said, problems bytes.Buffer
		code := run(append([]string{"ctl", "--config=/dev/null"}, strings.Fields(line)...), nil, &said, &problems)
		if code != 2 || said.Len() > 0 || !strings.Contains(problems.String(), says) || strings.Count(problems.String(), "\n") != 1 {
			t.Errorf("%s: exit code %d, %s%s, expected 2 and %s", line, code, &said, &problems, says)
		}
	}
	for _, line := range []string{"--help", "--version"} {
		var said, problems bytes.Buffer
		if code := run([]string{"ctl", line}, nil, &said, &problems); code != 0 || said.Len() == 0 || problems.Len() > 0 {
			t.Errorf("%s: exit code %d, %s%s", line, code, &said, &problems)
		}
	}
}

// The environment and the file say where the contest, with its socket, is.
func TestCtlFindsTheCentral(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "central.ini")
	if err := os.WriteFile(file, []byte("[DEFAULT]\nCONTEST = navidad\nSTORAGE_DIR = "+folder+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := launch(t, "--config", file)
	for _, environ := range [][]string{{"SERVER_CONFIG=" + file}, {"STORAGE_DIR=" + folder, "CONTEST=navidad"}} {
		inFolder(t, "")
		var said, problems bytes.Buffer
		if code := run([]string{"ctl", "status"}, environ, &said, &problems); code != 0 || !strings.Contains(said.String(), "contest      navidad\n") {
			t.Errorf("%q: exit code %d, %s%s", environ, code, &said, &problems)
		}
	}
	p.Stop()
}

// The names of the status' fields are for scripts, and stay.
func TestStatusFields(t *testing.T) {
	text, err := json.Marshal(statusAnswer{Waiting: []awaitedAgency{{}}, Missing: []int{}})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"now", "started", "contest", "ready", "status", "phase", "expected", "finished", "bets", "winners", "connections", "agencies", "more",
		"awaited_agencies", "more_awaited", "missing", "more_missing",
	} {
		if _, has := fields[name]; !has {
			t.Errorf("there is no %s in %s", name, text)
		}
	}
	awaited := fields["awaited_agencies"].([]any)[0].(map[string]any)
	for _, name := range []string{"agency", "bets", "heard", "silent_seconds"} {
		if _, has := awaited[name]; !has {
			t.Errorf("there is no %s in %v", name, awaited)
		}
	}
}

// A person's view of the status, at each time.
func TestPrintStatus(t *testing.T) {
	now := time.Date(2026, 12, 24, 17, 0, 0, 0, time.UTC)
	deadline, drawnAt, winners := now.Add(time.Hour), now.Add(-time.Minute), 7
	state := admin.State{Now: now, Started: now.Add(-90 * time.Second), Contest: "navidad", Status: admin.TakingBets, Phase: lottery.Betting,
		Deadline: &deadline, Expected: 3, Finished: 1, Bets: 120, Connections: 2, MaxConnections: 9}
	for name, test := range map[string]struct {
		change func(*statusAnswer)
		want   string
	}{
		"betting": {func(s *statusAnswer) {
			s.Waiting = []awaitedAgency{{Agency: 2, Bets: 20, Silent: 61.2}, {Agency: 10, Bets: 1000}}
		}, `contest      navidad
central      taking bets; started 2026-12-24T16:58:30Z, 1m30s ago
phase        betting
deadline     2026-12-24T18:00:00Z, 1h0m0s left
agencies     betting has ended of 1 of 3
bets         120 stored
connections  2 of 9

the draw waits for
  agency  bets  silent for
       2    20        1m1s
      10  1000          0s
`},
		"hindered, at a central of several": {func(s *statusAnswer) {
			s.Status, s.Reason, s.Central, s.Contest = admin.Hindered, "no space left on device", "b", ""
			s.Phase, s.Now = lottery.Drawing, deadline.Add(time.Second)
			s.Missing, s.MoreMissing = []int{2, 3}, 1
		}, `central      b, hindered: no space left on device; started 2026-12-24T16:58:30Z, 1h1m31s ago
phase        drawing: the draw is being made
deadline     2026-12-24T18:00:00Z, has passed
agencies     betting has ended of 1 of 3
missing      2 3 and 1 more
bets         120 stored
connections  2 of 9
`},
		"drawn": {func(s *statusAnswer) {
			s.Status, s.Phase, s.Winners, s.DrawnAt = admin.TellingWinners, lottery.Drawn, &winners, &drawnAt
			s.Acta = &admin.Acta{Made: drawnAt.Add(time.Second), SHA256: "0123abcd", Signed: true}
		}, `contest      navidad
central      the draw is done: winners are told, bets are not taken; started 2026-12-24T16:58:30Z, 1m30s ago
phase        drawn, since 2026-12-24T16:59:00Z
deadline     2026-12-24T18:00:00Z
agencies     betting has ended of 1 of 3
bets         120 stored
connections  2 of 9
winners      7
acta         made 2026-12-24T16:59:01Z, signed, SHA-256 0123abcd
`},
		"starting": {func(s *statusAnswer) {
			s.Status, s.Phase, s.Deadline = admin.Recovering, admin.Starting, nil
			s.Ledger = admin.Ledger{Kind: admin.NATS, LedgerHealth: &admin.LedgerHealth{Problem: "no server answers"}}
		}, `contest  navidad
central  recovering the ledger; started 2026-12-24T16:58:30Z, 1m30s ago
phase    starting
ledger   no server answers
`},
	} {
		s := statusAnswer{State: state}
		test.change(&s)
		want := regexp.MustCompile(`\S+Z`).ReplaceAllStringFunc(test.want, func(text string) string {
			at, err := time.Parse(time.RFC3339, strings.TrimSuffix(text, ","))
			if err != nil {
				t.Fatal(err)
			}
			return shownTime(at)
		})
		var text strings.Builder
		if printStatus(&text, &s); text.String() != want {
			t.Errorf("%s:\n%swant\n%s", name, &text, want)
		}
	}
}

// askDirectly calls a control's handler from this process.
func askDirectly(t *testing.T, c *control, path, body string) (status int, answer string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r = r.WithContext(context.WithValue(r.Context(), peerKey{}, peer{os.Geteuid(), os.Getpid()}))
	w := httptest.NewRecorder()
	c.handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// A change that does not become durable is answered in time, with the reason. It
// may still become so.
func TestControlIsBounded(t *testing.T) {
	folder := t.TempDir()
	ledger, err := csvledger.Open(folder, 2)
	if err != nil {
		t.Fatal(err)
	}
	contest := ledgertest.NewContest(t, ledger)
	obstacle := filepath.Join(folder, csvledger.StateFile+".new")
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	log := zerolog.Nop()
	c := newControl(ctx, admin.New(admin.Config{Agencies: 2}), func() {}, log)
	c.patience = 500 * time.Millisecond // by when a save has been tried
	if status, answer := askDirectly(t, c, "/end", `{"agencies":[1]}`); status != 503 || !strings.Contains(answer, "is starting") {
		t.Errorf("it answers %d %s", status, answer)
	}
	c.operate(operated{contest.Contest, newMissingLog(contest.Contest, log), ledger.Unsaved})
	for path, body := range map[string]string{"/end": `{"agencies":[1]}`, "/deadline": `{"deadline":"2099-12-24 18:00"}`} {
		if status, answer := askDirectly(t, c, path, body); status != 504 || !strings.Contains(answer, "it is not durable") || !strings.Contains(answer, obstacle) {
			t.Errorf("%s: it answers %d %s", path, status, answer)
		}
		c.changing <- struct{}{} // what was tried has ended
		<-c.changing
	}
	c.changing <- struct{}{} // somebody else's change hangs
	if status, answer := askDirectly(t, c, "/end", `{"agencies":[2]}`); status != 409 || !strings.Contains(answer, "nothing was done, what was asked for before is not durable yet") {
		t.Errorf("it answers %d %s", status, answer)
	}
	<-c.changing
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	c.patience = patience
	if status, answer := askDirectly(t, c, "/end", `{"agencies":[2,1]}`); status != 200 || !strings.Contains(answer, `"phase":"drawn"`) {
		t.Errorf("it answers %d %s", status, answer)
	}
	stop()
	if status, answer := askDirectly(t, c, "/end", `{"agencies":[1]}`); status != 503 || !strings.Contains(answer, "the central stops") {
		t.Errorf("it answers %d %s", status, answer)
	}
}

// The kernel accepts a request to a suspended central (SIGSTOP), and nobody answers
// it.
func TestCtlOfASuspendedCentral(t *testing.T) {
	folder := t.TempDir()
	socket, err := listenControl(folder, "control.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.close()
	central := &centralAt{folder: folder, name: "control.sock", patience: time.Millisecond}
	for _, command := range []string{"status", "drain"} {
		err := ctlCall{command: command}.do(t.Context(), central, new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), "has not answered within 1ms: it hangs or is suspended") {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// unanswered is a ledger that does its first task, and says that it is not
// available.
type unanswered struct {
	lottery.Ledger
	asked atomic.Int32
}

func (l *unanswered) deny(done func(error)) func(error) {
	if l.asked.Add(1) > 1 {
		return done
	}
	return func(error) { done(lottery.ErrUnavailable) }
}

func (l *unanswered) End(agency int, after lottery.Mark, how lottery.Ending, done func(error)) {
	l.Ledger.End(agency, after, how, l.deny(done))
}

func (l *unanswered) SetDeadline(before, deadline time.Time, done func(error)) {
	l.Ledger.SetDeadline(before, deadline, l.deny(done))
}

// A change made at the second attempt is told relative to the state before the
// first.
func TestControlTriesAgain(t *testing.T) {
	for path, test := range map[string]struct{ body, want string }{
		"/end":      {`{"agencies":[1]}`, `"result":"ended"`},
		"/deadline": {`{"deadline":"2099-12-24 18:00"}`, `"replaces":null`},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			ledger, err := csvledger.Open(t.TempDir(), 2)
			if err != nil {
				t.Fatal(err)
			}
			contest := ledgertest.NewContest(t, &unanswered{Ledger: ledger})
			c := newControl(t.Context(), admin.New(admin.Config{Agencies: 2}), func() {}, zerolog.Nop())
			c.operate(operated{contest.Contest, newMissingLog(contest.Contest, c.log), ledger.Unsaved})
			if status, answer := askDirectly(t, c, path, test.body); status != 200 || !strings.Contains(answer, test.want) {
				t.Errorf("it answers %d %s, expected %s", status, answer, test.want)
			}
		})
	}
}

// Only the central's own user and root are answered, whoever can open the socket.
func TestMayControl(t *testing.T) {
	for who, want := range map[peer]bool{
		{0, 1}: true, {os.Geteuid(), 1}: true, {os.Geteuid() + 1, 1}: false, {-1, -1}: false,
	} {
		if got := who.mayControl(); got != want {
			t.Errorf("%v: %t", who, got)
		}
	}
}
