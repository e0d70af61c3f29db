package server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loteria/cluster/natstest"
	"loteria/codec"
	"loteria/internal/process/processtest"
)

// Every central of a contest makes the same acta, each in its own folder, and again
// when it is lost. None tells winners from a contest that is not the acta's.
func TestActaOfCentrals(t *testing.T) {
	args := with(on(natstest.Start(t, 3)), "--expected-agencies", "2")
	contest := args[3]
	folders := []string{t.TempDir(), t.TempDir()}
	at := func(i int, more ...string) []string { return with(args, with(more, "--storage-dir", folders[i])...) }
	path := func(i int) string { return filepath.Join(folders[i], contest, "acta.json") }
	a, b := begin(t, at(0)...), begin(t, at(1)...)
	atA, atB := listens(a), listens(b)
	done := &codec.Success{Finished: true}
	exchange(t, atA, []codec.Message{&codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}}, []codec.Message{stored, done})
	exchange(t, atB, []codec.Message{&codec.Finished{Agency: "2"}}, []codec.Message{done})
	exchange(t, atB, []codec.Message{&codec.WinnersQuery{Agency: "1"}}, []codec.Message{told})
	var lines []string
	for _, p := range []*processtest.Process{a, b} {
		_, line, _ := strings.Cut(p.Await("action: acta | result: success"), "sha256: ")
		lines = append(lines, line)
		p.Stop()
		if p.Count("result: fail") != 0 {
			t.Errorf("the log has %v", p)
		}
	}
	kept := string(read(t, path(0)))
	if lines[0] != lines[1] || kept != string(read(t, path(1))) {
		t.Errorf("the actas are %s and %s", lines[0], lines[1])
	}
	for _, text := range []string{`"contest": "` + contest + `"`, `"opened": "`, `"closed": "`, `"drawn": "`, `"rows": 1,`, `"30904465"`} {
		if !strings.Contains(kept, text) {
			t.Errorf("it does not have %s:\n%s", text, kept)
		}
	}
	said, _ := do(t, 0, at(0, "--check")...)
	if !strings.Contains(said, "not signed: it is that of this contest") {
		t.Errorf("--check says %s", said)
	}

	// The rows in NATS are those of the acta, also in another folder.
	proof := t.TempDir()
	do(t, 0, at(0, "--export", filepath.Join(proof, "bets.csv"))...)
	write := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(proof, "acta.json"), kept)
	if said, _ = do(t, 0, "--verify", proof); !strings.Contains(said, "agency 1: 1 bets") || !strings.Contains(said, "proved: ") {
		t.Errorf("--verify says %s", said)
	}

	// A lost acta is made again; that of another contest is not served.
	if err := os.Remove(path(0)); err != nil {
		t.Fatal(err)
	}
	a = begin(t, at(0)...)
	a.Await("action: acta | result: success")
	a.Stop()
	if again := string(read(t, path(0))); again != kept {
		t.Errorf("it is made again as %s", again)
	}
	a = begin(t, at(0)...)
	a.Await("it is that of the ledger")
	a.Stop()
	write(path(0), strings.Replace(kept, `"bets": 1`, `"bets": 2`, 1))
	a = begin(t, at(0)...)
	if code := a.End(); code != 1 || a.Count("action: listen") != 0 || !strings.Contains(a.Stderr(), "acta.json: line ") {
		t.Errorf("exit code %d: %v", code, a)
	}
	if _, problems := do(t, 1, at(0, "--check")...); !strings.Contains(problems, "acta.json: line ") {
		t.Errorf("--check says %s", problems)
	}
}

// Two centrals that share a folder have one acta there.
func TestActaOfCentralsInOneFolder(t *testing.T) {
	folder := t.TempDir()
	args := with(on(natstest.Start(t, 1)), "--expected-agencies", "1", "--storage-dir", folder)
	a, b := begin(t, args...), begin(t, args...)
	atA := listens(a)
	listens(b)
	exchange(t, atA, []codec.Message{&codec.Finished{Agency: "1"}}, []codec.Message{&codec.Success{Finished: true}})
	for _, p := range []*processtest.Process{a, b} {
		p.Await("action: acta | result: success")
		p.Stop()
	}
	entries, err := os.ReadDir(filepath.Join(folder, args[3]))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v: %v\n%v", entries, err, a, b)
	}
}
