package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/codec"
	"loteria/lottery"
	"loteria/lottery/acta"
	"loteria/lottery/csvledger"
)

// writeKeys writes a key and its public key, as openssl does.
func writeKeys(t *testing.T, seed byte) (key, public string) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	folder := t.TempDir()
	write := func(name, kind string, der []byte, err error) string {
		path := filepath.Join(folder, name)
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	key = write("key.pem", "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(private.Public())
	return key, write("public.pem", "PUBLIC KEY", der, err)
}

// shownActa records what is shown, and the log.
type shownActa struct {
	mu    sync.Mutex
	shown []admin.Acta
	log   bytes.Buffer
}

func (s *shownActa) show(a admin.Acta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = append(s.shown, a)
}

func (s *shownActa) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(line)
}

func (s *shownActa) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// keeperOf returns the keeper of a folder's acta, with every wait made short.
func keeperOf(t *testing.T, c config) (*actaKeeper, *shownActa) {
	t.Helper()
	s := new(shownActa)
	k, err := newActaKeeper(c, s.show, zerolog.New(s))
	if err != nil {
		t.Fatal(err)
	}
	k.retry = time.Millisecond
	return k, s
}

// openAsStart does what a start does before it accepts connections.
func openAsStart(t *testing.T, c config) error {
	t.Helper()
	k, _ := keeperOf(t, c)
	_, contest, _, err := openContest(t.Context(), c, zerolog.Nop(), func(lottery.Commit) {}, new(waiting))
	if err != nil {
		return err
	}
	defer contest.Close()
	return k.verify(t.Context(), new(waiting))
}

func configOf(folder string) config {
	c := defaultConfig()
	c.storageDir, c.expectedAgencies = folder, 3
	return c
}

// drawnFolder returns a contest of three agencies that is drawn, and its acta.
func drawnFolder(t *testing.T, bets int, change func(*config)) (c config) {
	t.Helper()
	c = configOf(sampled{bets: bets, endings: allFinished, deadline: deadline, drawn: true}.write(t))
	if change != nil {
		change(&c)
	}
	k, _ := keeperOf(t, c)
	made, err := k.make(t.Context())
	if err == nil {
		err = k.keep(made)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// where matches the place in a message about a fault.
var where = regexp.MustCompile(`line \d+|agency \d+'s rows differ|bets of agency \d+`)

// Whatever bit changes in bets.csv or in acta.json, a start, --check and --verify
// say so, and where, and leave the files as they are.
func TestEveryBitCounts(t *testing.T) {
	key, _ := writeKeys(t, 1)
	for name, change := range map[string]func(*config){
		"unsigned":   nil,
		"signed":     func(c *config) { c.acta.key = key },
		"not synced": func(c *config) { c.noSync = true }, // then what was on disk is unknown
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := drawnFolder(t, 4, change)
			state := filepath.Join(c.folder(), csvledger.StateFile)
			if c.noSync {
				content := contentOf(t, c.folder())[csvledger.StateFile]
				content = regexp.MustCompile(`,"ledger_bytes":\d+`).ReplaceAllString(content, "")
				if err := os.WriteFile(state, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			judges := map[string]func() error{
				"start": func() error {
					unsynced := c
					unsynced.noSync = true // nothing must be durable, and there are many
					return openAsStart(t, unsynced)
				},
				"check": func() error { return checkLedger(t.Context(), c, new(bytes.Buffer)) },
				"verify": func() error {
					v := config{acta: actaConfig{verify: c.folder()}}
					return verifyActa(t.Context(), v, new(bytes.Buffer))
				},
			}
			for judge, find := range judges {
				if err := find(); err != nil {
					t.Fatalf("%s, and nothing has changed: %v", judge, err)
				}
			}
			original := contentOf(t, c.folder())
			if _, also := original[csvledger.ActaFile]; len(original) != 3 || !also {
				t.Fatalf("the folder has %d files", len(original))
			}
			for _, file := range []string{csvledger.LedgerFile, csvledger.ActaFile} {
				path := filepath.Join(c.folder(), file)
				content := []byte(original[file])
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				step := map[string]int{csvledger.LedgerFile: 1, csvledger.ActaFile: 7}[file] // each is tried in package acta
				if hasDetector {
					step *= 11 // one goroutine after the other
				}
				for bit := 0; bit < 8*len(content); bit += step {
					content[bit/8] ^= 1 << (bit % 8)
					if _, err := f.WriteAt(content[bit/8:bit/8+1], int64(bit/8)); err != nil {
						t.Fatal(err)
					}
					for judge, find := range judges {
						if judge != "verify" && bit/step%5 != 0 {
							continue // it has to stay fast
						}
						if err := find(); err == nil || !where.MatchString(err.Error()) {
							t.Errorf("%s, bit %d of byte %d of %s: %v", judge, bit%8, bit/8, file, err)
						}
					}
					if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, content) {
						t.Fatalf("bit %d of byte %d of %s: the file was changed, %v", bit%8, bit/8, file, err)
					}
					content[bit/8] ^= 1 << (bit % 8)
					if _, err := f.WriteAt(content[bit/8:bit/8+1], int64(bit/8)); err != nil {
						t.Fatal(err)
					}
				}
			}
			sameFiles(t, contentOf(t, c.folder()), original)
		})
	}
}

// Other tampering with a drawn contest is found, too, and the message names it.
func TestTamperedContest(t *testing.T) {
	key, public := writeKeys(t, 1)
	otherKey, otherPublic := writeKeys(t, 2)
	edit := func(file string, change func(string) string) func(*testing.T, *config) {
		return func(t *testing.T, c *config) {
			path := filepath.Join(c.folder(), file)
			before := contentOf(t, c.folder())[file]
			after := change(before)
			if after == before {
				t.Fatalf("nothing is changed in %s", file)
			}
			if err := os.WriteFile(path, []byte(after), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(file, old, new string) func(*testing.T, *config) {
		return edit(file, func(s string) string { return strings.Replace(s, old, new, 1) })
	}
	// resealed is an acta forged by an expert.
	resealed := func(change func(*acta.Acta)) func(*testing.T, *config) {
		return edit(csvledger.ActaFile, func(s string) string {
			a, err := acta.Parse([]byte(s))
			if err != nil {
				t.Fatal(err)
			}
			change(a)
			return string(a.Seal(nil))
		})
	}
	row := func(s string, n int) string { return strings.SplitAfter(s, "\n")[n] }
	for name, test := range map[string]struct {
		signed bool
		change func(*testing.T, *config)
		says   string // by --check and a start
		proves bool   // --verify cannot know of it
	}{
		"rows of two agencies change places": {change: edit(csvledger.LedgerFile, func(s string) string {
			second := strings.Index(s, "\n1,") + 1 // of agency 1, after some of agency 2
			first := strings.LastIndex(s[:second-1], "\n") + 1
			third := second + len(row(s[second:], 0))
			return s[:first] + s[second:third] + s[first:second] + s[third:]
		}), says: "the same rows of each agency in another order"},
		"rows of one agency change places": {change: edit(csvledger.LedgerFile, func(s string) string {
			return row(s, 1) + row(s, 0) + strings.Join(strings.SplitAfter(s, "\n")[2:], "")
		}), says: "agency 2's rows differ"},
		"a row is missing": {change: edit(csvledger.LedgerFile, func(s string) string { return s[len(row(s, 0)):] }), says: "rows are missing"},
		"a row is added":   {change: edit(csvledger.LedgerFile, func(s string) string { return s + row(s, 0) }), says: "somebody else has added to it"},
		"a row is begun":   {change: edit(csvledger.LedgerFile, func(s string) string { return s + row(s, 0)[:9] }), says: ""},
		"all rows are gone, and the state knows no length": {change: func(t *testing.T, c *config) {
			edit(csvledger.LedgerFile, func(string) string { return "" })(t, c)
			edit(csvledger.StateFile, func(s string) string {
				return regexp.MustCompile(`,"ledger_bytes":\d+`).ReplaceAllString(s, "")
			})(t, c)
		}, says: "agency 1's rows differ: the ledger has 0 bets"},
		"the state has another ending": {change: func(t *testing.T, c *config) {
			replace(csvledger.StateFile, `"missing":[2]`, `"missing":[3]`)(t, c)
			replace(csvledger.StateFile, `[1,3]`, `[1,2]`)(t, c)
		}, says: "agency 2's betting has ended otherwise: finished; the acta has missing"},
		"the state has another time":     {change: replace(csvledger.StateFile, `"drawn":"2`, `"drawn":"3`), says: "the contest was drawn 3"},
		"the state has another deadline": {change: replace(csvledger.StateFile, `"deadline":"2099`, `"deadline":"2098`), says: "has the deadline 2098"},
		"the acta has no line end":       {change: edit(csvledger.ActaFile, strings.TrimSpace), says: "acta.json: line "},
		"the acta is empty":              {change: edit(csvledger.ActaFile, func(string) string { return "" }), says: "acta.json: line 1: "},
		"the acta is cut":                {change: edit(csvledger.ActaFile, func(s string) string { return s[:len(s)/2] }), says: "acta.json: line "},
		"the acta is longer":             {change: edit(csvledger.ActaFile, func(s string) string { return s + "\n" }), says: "acta.json: line "},
		"the acta has another indent":    {change: edit(csvledger.ActaFile, func(s string) string { return strings.Replace(s, "  ", "   ", 1) }), says: "acta.json: line 2: "},
		"the acta has a number too high": {change: edit(csvledger.ActaFile, func(s string) string { return strings.Replace(s, `"bets": `, `"bets": 1`, 1) }), says: "acta.json: line "},
		"the acta is of version 2":       {change: resealed(func(a *acta.Acta) { a.Format = 2 }), says: "line 2: its format is 2, known is 1"},
		"an acta with another winner":    {change: resealed(func(a *acta.Acta) { a.Agencies[0].Documents = append(a.Agencies[0].Documents, "1") }), says: "acta.json: line "},
		"an acta with more agencies":     {change: resealed(func(a *acta.Acta) { a.Terms.Agencies++ }), says: "the contest has 3 expected agencies, the acta has 4"},
		"an acta without an agency":      {change: resealed(func(a *acta.Acta) { a.Agencies = a.Agencies[:2] }), says: "acta.json: line "},
		"an acta of another name":        {change: resealed(func(a *acta.Acta) { a.Contest = "reyes" }), says: `the acta is of the contest "reyes", this is "navidad"`, proves: true},
		"the signature is taken off":     {signed: true, change: resealed(func(*acta.Acta) {}), says: "is not signed, expected is the signature of the key"},
		"another one has signed": {signed: true, change: edit(csvledger.ActaFile, func(s string) string {
			a, _ := acta.Parse([]byte(s))
			signer, err := actaConfig{key: otherKey}.signingKey()
			if err != nil {
				t.Fatal(err)
			}
			return string(a.Seal(signer))
		}), says: "it is signed by the key "},
		"the signature is another acta's": {signed: true, change: edit(csvledger.ActaFile, func(s string) string {
			a, _ := acta.Parse([]byte(s))
			signature := a.Signature
			a.Seal(nil)
			signature.Ed25519[0] ^= 1
			a.Signature = signature
			text := string(a.Seal(nil))
			return strings.TrimSuffix(text, "\n}\n") + fmt.Sprintf(",\n  \"signature\": {\n    \"ed25519\": %q,\n    \"public_key\": %q\n  }\n}\n", must(signature.Ed25519.MarshalText()), signature.PublicKey)
		}), says: "the signature is not of this acta"},
	} {
		t.Run(name, func(t *testing.T) {
			c := drawnFolder(t, 9, func(c *config) {
				storage := t.TempDir()
				if err := os.Rename(c.storageDir, filepath.Join(storage, "navidad")); err != nil {
					t.Fatal(err)
				}
				c.storageDir, c.contest = storage, "navidad"
				if test.signed {
					c.acta.key = key
				}
			})
			test.change(t, &c)
			changed := contentOf(t, c.folder())
			var said bytes.Buffer
			check := c
			check.acta.publicKey = map[bool]string{true: public}[test.signed]
			for judge, err := range map[string]error{"start": openAsStart(t, c), "check": checkLedger(t.Context(), check, &said)} {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%s: %v, want %q", judge, err, test.says)
				}
			}
			v := config{acta: actaConfig{verify: c.folder(), publicKey: check.acta.publicKey}}
			if err := verifyActa(t.Context(), v, &said); (err == nil) != test.proves {
				t.Errorf("verify: %v", err)
			}
			sameFiles(t, contentOf(t, c.folder()), changed)
		})
	}
	t.Run("expected is the other key", func(t *testing.T) {
		c := drawnFolder(t, 9, func(c *config) { c.acta.key = key })
		var said bytes.Buffer
		for file, fits := range map[string]bool{"": true, public: true, otherPublic: false} {
			v := config{acta: actaConfig{verify: c.folder(), publicKey: file}}
			if err := verifyActa(t.Context(), v, &said); (err == nil) != fits {
				t.Errorf("with %q: %v", file, err)
			}
		}
		c.acta.key = ""
		if err := openAsStart(t, c); err != nil {
			t.Errorf("a start without a key: %v", err)
		}
		c.acta.key = otherKey
		if err := openAsStart(t, c); err == nil || !strings.Contains(err.Error(), "it is signed by the key ") {
			t.Errorf("a start with another key: %v", err)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The same contest always gives the same acta, and bets.csv is what sha256sum says.
func TestActaIsMadeAgain(t *testing.T) {
	key, _ := writeKeys(t, 1)
	for name, change := range map[string]func(*config){"unsigned": nil, "signed": func(c *config) { c.acta.key = key }} {
		t.Run(name, func(t *testing.T) {
			c := drawnFolder(t, 3000, change)
			before := contentOf(t, c.folder())
			a, err := acta.Parse([]byte(before[csvledger.ActaFile]))
			if err != nil {
				t.Fatal(err)
			}
			if want := digestOf([]byte(before[csvledger.LedgerFile])); a.Ledger.SHA256.String() != want || a.Ledger.Bytes != uint64(len(before[csvledger.LedgerFile])) {
				t.Errorf("the ledger is %v, want %s", a.Ledger, want)
			}
			for i, want := range []struct {
				ended string
				bets  uint64
			}{{"finished", 3000}, {"missing", 1500}, {"finished", 0}} {
				var rows strings.Builder
				for row := range strings.Lines(before[csvledger.LedgerFile]) {
					if strings.HasPrefix(row, fmt.Sprintf("%d,", i+1)) {
						rows.WriteString(row)
					}
				}
				got := a.Agencies[i]
				if got.Bets != want.bets || got.Ended.String() != want.ended || got.SHA256.String() != digestOf([]byte(rows.String())) || got.Winners != len(got.Documents) {
					t.Errorf("agency %d is %+v, want %+v", i+1, got, want)
				}
			}
			if !a.Terms.Deadline.Equal(deadline) || a.Opened.IsZero() || a.Closed.Before(a.Opened.Time) || a.Drawn.Before(a.Closed.Time) {
				t.Errorf("the terms are %+v, the times %v, %v, %v", a.Terms, a.Opened, a.Closed, a.Drawn)
			}

			path := filepath.Join(c.folder(), csvledger.ActaFile)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			args := []string{"--storage-dir", c.storageDir, "--expected-agencies", "3", "--acta-key", c.acta.key}
			p := launch(t, args...)
			line := p.Await("action: acta | result: success")
			p.Stop()
			sameFiles(t, contentOf(t, c.folder()), before)
			if !strings.Contains(line, "file: "+path) || !strings.Contains(line, "sha256: "+digestOf([]byte(before[csvledger.ActaFile]))) ||
				!strings.Contains(line, fmt.Sprintf("signed: %t", change != nil)) {
				t.Errorf("the log has %q", line)
			}
			again := launch(t, args...)
			again.Stop()
			if !again.has("action: acta | result: success") || !again.has("it is that of the ledger") {
				t.Errorf("the log has\n%s", again)
			}
			sameFiles(t, contentOf(t, c.folder()), before)
		})
	}
}

// A central makes the acta of its draw, also when it is told to stop at once, and
// one that has made none before is not in the way.
func TestActaOfADraw(t *testing.T) {
	key, public := writeKeys(t, 3)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	storage := t.TempDir()
	folder := filepath.Join(storage, "navidad")
	p := launch(t, "--storage-dir", storage, "--contest", "navidad", "--expected-agencies", "1", "--acta-key", key)
	p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}, &codec.Finished{Agency: "1"}, &codec.WinnersQuery{Agency: "1"}},
		[]codec.Message{stored, finished, &codec.Winners{Documents: []string{raw.Document}}})
	p.Stop()
	if !p.has("action: check_acta_key | result: success | reason: " + key + " can be read by every user") {
		t.Errorf("nobody is told that everybody can read the key:\n%s", p)
	}
	if p.Count("action: acta | result: success") != 1 || p.has("result: fail") {
		t.Errorf("the log has\n%s", p)
	}
	files := contentOf(t, folder)
	if len(files) != 3 {
		t.Errorf("the folder has %d files", len(files))
	}
	for name, test := range map[string]struct {
		args []string
		says []string
	}{
		"verify": {[]string{"--verify", folder, "--acta-public-key", public}, []string{`contest: "navidad", of 1 agencies`,
			"agency 1: 1 bets, 43 bytes, SHA-256 ", ", finished, winners: 1: the same in the ledger", "signature: by the expected key ", "proved: "}},
		"verify alone": {[]string{"--verify", folder}, []string{"by the key that the acta itself names", "proved: "}},
		"check": {[]string{"--storage-dir", storage, "--contest", "navidad", "--check"}, []string{"drawn: 2", "acta.json: SHA-256 " +
			digestOf([]byte(files[csvledger.ActaFile])) + ", signed by ", ": it is that of this contest", "nothing is damaged"}},
	} {
		var said, problems bytes.Buffer
		if code := run(test.args, nil, &said, &problems); code != 0 {
			t.Errorf("%s: exit code %d: %s", name, code, &problems)
		}
		for _, text := range test.says {
			if !strings.Contains(said.String(), text) {
				t.Errorf("%s: %q is not said:\n%s", name, text, &said)
			}
		}
	}
	// Some bits, by the real command.
	for file, content := range files {
		if file == csvledger.StateFile {
			continue
		}
		for i := range 3 {
			bit := (2*i + 1) * 8 * len(content) / 7
			changed := []byte(content)
			changed[bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(filepath.Join(folder, file), changed, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"--verify", folder}, {"--check"}, nil} {
				p := begin(t, append(args, "--storage-dir", storage, "--contest", "navidad", "--expected-agencies", "1")...)
				if code := p.End(); code != 1 || p.has("action: listen") || !where.MatchString(p.Stderr()) {
					t.Errorf("%q, bit %d of %s: exit code %d: %s", args, bit, file, code, p.Stderr())
				}
			}
		}
		if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(folder, csvledger.LedgerFile)
	rows := strings.Replace(files[csvledger.LedgerFile], "Santiago", "Santiaga", 1)
	if err := os.WriteFile(path, []byte(rows), 0o644); err != nil {
		t.Fatal(err)
	}
	refused := begin(t, "--storage-dir", storage, "--contest", "navidad", "--expected-agencies", "1")
	code := refused.End()
	said := strings.Join(refused.Lines(), "\n") + refused.Stderr()
	if code != 1 || refused.has("action: listen") || strings.Count(said, "agency 1's rows differ: the ledger has 1 bets, 43 bytes, SHA-256 ") != 2 {
		t.Errorf("exit code %d:\n%s", code, said)
	}
	for _, args := range [][]string{{"--verify", folder}, {"--storage-dir", storage, "--contest", "navidad", "--check"}} {
		var said, problems bytes.Buffer
		if code := run(args, nil, &said, &problems); code != 1 || !strings.Contains(problems.String(), "agency 1's rows differ") || !strings.Contains(said.String(), "NOT") {
			t.Errorf("%s: exit code %d: %s%s", args[0], code, &said, &problems)
		}
	}
}

// An acta that cannot be kept is logged once, and retried until it can be.
func TestActaIsTriedAgain(t *testing.T) {
	c := configOf(sampled{bets: 9, endings: allFinished, drawn: true}.write(t))
	obstacle := filepath.Join(c.folder(), csvledger.ActaFile+".new")
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	k, s := keeperOf(t, c)
	_, contest, _, err := openContest(t.Context(), c, zerolog.Nop(), func(lottery.Commit) {}, new(waiting))
	if err != nil {
		t.Fatal(err)
	}
	defer contest.Close()
	stopping, over := make(chan struct{}), make(chan struct{})
	end := k.start(contest, stopping, over)
	for deadline := time.Now().Add(patience); !strings.Contains(s.String(), "in_progress"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is said: %s", s)
		}
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	end()
	if said := s.String(); strings.Count(said, "in_progress") != 1 || strings.Count(said, "success") != 1 || strings.Contains(said, "fail") {
		t.Errorf("it says %s", said)
	}
	if err := contest.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openAsStart(t, c); err != nil {
		t.Error(err)
	}
	if len(s.shown) != 1 || s.shown[0].SHA256 != digestOf([]byte(contentOf(t, c.folder())[csvledger.ActaFile])) || s.shown[0].Made.IsZero() {
		t.Errorf("shown is %+v", s.shown)
	}
}

// A stop leaves what cannot be done to the next start, and waits no longer than its
// timeout.
func TestStopWithoutActa(t *testing.T) {
	for name, drawn := range map[string]bool{"not drawn": false, "cannot be kept": true} {
		t.Run(name, func(t *testing.T) {
			endings := allFinished
			if !drawn {
				endings = make([]lottery.Ending, 3)
			}
			c := configOf(sampled{bets: 9, endings: endings, drawn: drawn}.write(t))
			if err := os.Mkdir(filepath.Join(c.folder(), csvledger.ActaFile+".new"), 0o755); err != nil {
				t.Fatal(err)
			}
			k, s := keeperOf(t, c)
			k.retry = time.Hour
			_, contest, _, err := openContest(t.Context(), c, zerolog.Nop(), func(lottery.Commit) {}, new(waiting))
			if err != nil {
				t.Fatal(err)
			}
			defer contest.Close()
			stopping := make(chan struct{})
			end := k.start(contest, stopping, nil)
			close(stopping)
			end()
			if strings.Contains(s.String(), "in_progress") != drawn || len(s.shown) > 0 {
				t.Errorf("it says %s", s)
			}
		})
	}
}

// A disk that hangs does not keep the central longer than a stop may take.
func TestStopWhileActaIsRead(t *testing.T) {
	c := configOf(sampled{bets: 9, endings: allFinished, drawn: true}.write(t))
	k, _ := keeperOf(t, c)
	k.at = hangingPlace{k.at}
	_, contest, _, err := openContest(t.Context(), c, zerolog.Nop(), func(lottery.Commit) {}, new(waiting))
	if err != nil {
		t.Fatal(err)
	}
	defer contest.Close()
	over := make(chan struct{})
	end := k.start(contest, nil, over)
	close(over)
	end()
}

// hangingPlace never returns from read.
type hangingPlace struct{ place }

func (hangingPlace) read(ctx context.Context, _ func(lottery.Stretch) error) (report, error) {
	<-ctx.Done()
	return report{}, ctx.Err()
}

// Another central that shares the folder may have kept the acta first: the same one
// is taken, a different one is logged and left alone.
func TestActaOfAnother(t *testing.T) {
	c := drawnFolder(t, 9, nil)
	k, s := keeperOf(t, c)
	made, err := k.make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := k.keep(made); err != nil || len(s.shown) != 1 {
		t.Errorf("the same acta: %v, shown %+v", err, s.shown)
	}
	other := contentOf(t, drawnFolder(t, 8, nil).folder())[csvledger.ActaFile]
	path := filepath.Join(c.folder(), csvledger.ActaFile)
	if err := os.WriteFile(path, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := k.keep(made); !isDifference(err) || len(s.shown) != 1 {
		t.Errorf("another acta: %v, shown %+v", err, s.shown)
	}
	if got := contentOf(t, c.folder())[csvledger.ActaFile]; got != other {
		t.Error("an acta was replaced")
	}
}

// An acta beside a contest that is not drawn is of a draw that must not be
// repeated.
func TestActaWithoutItsDraw(t *testing.T) {
	c := drawnFolder(t, 9, nil)
	for name, state := range map[string]string{
		"lost":        "",
		"of before":   `{"agencies":3,"finished":[1],"phase":"betting"}`,
		"to be drawn": `{"agencies":3,"finished":[1,3],"missing":[2],"phase":"drawing"}`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(c.folder(), csvledger.StateFile)
			err := os.Remove(path)
			if state != "" {
				err = os.WriteFile(path, []byte(state), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			before := contentOf(t, c.folder())
			for _, reopen := range []bool{false, true} {
				c.reopen = reopen
				if err := openAsStart(t, c); err == nil || reopen && !strings.Contains(err.Error(), "says that the draw of this contest is made") {
					t.Errorf("reopen %t: %v", reopen, err)
				}
			}
			err = verifyActa(t.Context(), config{acta: actaConfig{verify: c.folder()}}, new(bytes.Buffer))
			if (err == nil) != (state == "") { // it proves the two files
				t.Errorf("verify: %v", err)
			}
			sameFiles(t, contentOf(t, c.folder()), before)
			if state == "" {
				if err := os.WriteFile(path, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// An unusable key gives one line, exit code 2, and is not shown.
func TestActaKeyThatCannotBeUsed(t *testing.T) {
	key, public := writeKeys(t, 1)
	storage := t.TempDir()
	for name, args := range map[string][]string{
		"no file":    {"--acta-key", filepath.Join(storage, "none.pem")},
		"public":     {"--acta-key", public},
		"no PEM":     {"--acta-key", os.Args[0]},
		"private":    {"--verify", storage, "--acta-public-key", key},
		"a folder":   {"--acta-key", storage},
		"empty file": {"--verify", storage, "--acta-public-key", "/dev/null"},
		"no end":     {"--acta-key", "/dev/zero"},
		"check":      {"--check", "--acta-public-key", key},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, append(args, "--storage-dir", storage)...)
			if code := p.End(); code != 2 || strings.Count(p.Stderr(), "\n") != 1 || !strings.Contains(p.Stderr(), "cannot be used: ") {
				t.Errorf("exit code %d: %s", code, p.Stderr())
			}
			if p.has(" rows, ") {
				t.Errorf("without having read anything it reports %s", p)
			}
		})
	}
	if files := contentOf(t, storage); len(files) > 0 {
		t.Errorf("there is %v", files)
	}
}

// An import begins a contest, and an acta is of one.
func TestImportToAnActa(t *testing.T) {
	source := sampled{bets: 9, endings: allFinished, drawn: true}.write(t)
	storage := t.TempDir()
	path := filepath.Join(storage, csvledger.ActaFile)
	if err := os.WriteFile(path, []byte("{}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var said, problems bytes.Buffer
	code := run([]string{"--storage-dir", storage, "--import", source}, nil, &said, &problems)
	if code != 1 || !strings.Contains(problems.String(), "nothing was imported: "+path+" is there") {
		t.Errorf("exit code %d: %s", code, &problems)
	}
	sameFiles(t, contentOf(t, storage), map[string]string{csvledger.ActaFile: "{}\n"})
}
