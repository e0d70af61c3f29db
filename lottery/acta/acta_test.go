package acta_test

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"loteria/lottery"
	"loteria/lottery/acta"
	"loteria/lottery/ledgertest"
)

var update = flag.Bool("update", false, "write testdata anew")

// key is one that everybody knows.
var key = ed25519.NewKeyFromSeed([]byte("a key that everybody knows: 1234"))

// contest is that of testdata: four agencies, of which one has no bets and one has
// no winner.
func contest() (rows []lottery.Stretch, c acta.Contest) {
	at := time.Date(2026, 12, 24, 21, 0, 0, 0, time.UTC)
	bets := func(agency, first, n int) lottery.Stretch {
		return ledgertest.Stretch(ledgertest.Bets(agency, first, n)...)
	}
	rows = []lottery.Stretch{bets(2, 0, 3), bets(1, 0, 2), bets(2, 3, 4), bets(4, 2, 1)}
	return rows, acta.Contest{
		Name:    "navidad",
		Terms:   lottery.Terms{Agencies: 4, Deadline: at},
		Times:   lottery.Times{Opened: at.Add(-48 * time.Hour), Closed: at.Add(7 * time.Millisecond), Drawn: at.Add(9 * time.Millisecond)},
		Endings: []lottery.Ending{lottery.Finished, lottery.Finished, lottery.Missing, lottery.Finished},
	}
}

func build(t testing.TB, rows []lottery.Stretch) *acta.Builder {
	t.Helper()
	b := acta.NewBuilder()
	for _, s := range rows {
		if err := b.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func seal(t testing.TB, b *acta.Builder, c acta.Contest, key ed25519.PrivateKey) []byte {
	t.Helper()
	a, err := b.Acta(c)
	if err != nil {
		t.Fatal(err)
	}
	return a.Seal(key)
}

// The format never changes: an acta can still be verified in years.
func TestForm(t *testing.T) {
	rows, c := contest()
	got := seal(t, build(t, rows), c, key)
	path := filepath.Join("testdata", "acta.json")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the acta is\n%s\nwant\n%s%v", got, want, err)
	}
	a, err := acta.Parse(want)
	if err != nil || !bytes.Equal(a.Seal(key), want) {
		t.Errorf("it is read as %+v, %v", a, err)
	}
	if a, err := build(t, rows).Check(want, c, key.Public().(ed25519.PublicKey)); err != nil || a == nil {
		t.Error(err)
	}
}

// The acta does not depend on how the rows are cut into pieces.
func TestPieces(t *testing.T) {
	rows, c := contest()
	whole := seal(t, build(t, rows), c, nil)
	var pieces []lottery.Stretch
	for _, s := range rows {
		for row := range bytes.Lines(s.Rows) {
			piece := lottery.Stretch{Agency: s.Agency, Bets: 1, Rows: row}
			bet, err := lottery.ParseRow(string(row))
			if err != nil {
				t.Fatal(err)
			}
			if bet.HasWon() {
				piece.Winners = []string{bet.Document}
			}
			pieces = append(pieces, piece)
		}
	}
	if got := seal(t, build(t, pieces), c, nil); !bytes.Equal(got, whole) {
		t.Errorf("the acta is\n%s\nwant\n%s", got, whole)
	}
	// The builder keeps nothing of the memory that it was given.
	b := acta.NewBuilder()
	memory := make([]byte, 0, 1024)
	for _, s := range rows {
		s.Rows = append(memory[:0], s.Rows...)
		if err := b.Add(s); err != nil {
			t.Fatal(err)
		}
		clear(memory[:cap(memory)])
	}
	if got := seal(t, b, c, nil); !bytes.Equal(got, whole) {
		t.Errorf("the acta is\n%s\nwant\n%s", got, whole)
	}
}

var where = regexp.MustCompile(`^acta.json(:.* line|: line) \d+: `)

// Every bit of an acta counts, signed or not, and also when nothing is known of the
// contest but its rows. The message names the line, or one after it.
func TestEveryBit(t *testing.T) {
	rows, whole := contest()
	b := build(t, rows)
	for name, test := range map[string]struct {
		key   ed25519.PrivateKey
		known acta.Contest
		step  int // of the bits that are tried
	}{
		"unsigned":               {nil, whole, 1},
		"signed":                 {key, whole, 3},
		"unsigned, rows alone":   {nil, acta.Contest{}, 5},
		"signed, rows alone":     {key, acta.Contest{}, 1},
		"unsigned, without name": {nil, acta.Contest{Terms: whole.Terms, Times: whole.Times, Endings: whole.Endings}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			if hasDetector {
				test.step *= 5 // it finds nothing here, and takes long
			}
			kept := seal(t, b, whole, test.key)
			if _, err := b.Check(kept, test.known, nil); err != nil {
				t.Fatal(err)
			}
			for bit := 0; bit < 8*len(kept); bit += test.step {
				kept[bit/8] ^= 1 << (bit % 8)
				if _, err := b.Check(kept, test.known, nil); err == nil || !where.MatchString(err.Error()) {
					line := bytes.Count(kept[:bit/8], []byte("\n")) + 1
					t.Errorf("bit %d of byte %d, in line %d: %v", bit%8, bit/8, line, err)
				}
				kept[bit/8] ^= 1 << (bit % 8)
			}
			for size := 0; size < len(kept); size += test.step {
				if _, err := b.Check(kept[:size], test.known, nil); err == nil || !where.MatchString(err.Error()) {
					t.Errorf("the first %d bytes: %v", size, err)
				}
			}
		})
	}
}

// With what is known of the contest, the error names the line that was changed.
func TestLineThatWasChanged(t *testing.T) {
	rows, c := contest()
	b := build(t, rows)
	kept := seal(t, b, c, nil)
	for _, test := range []struct{ old, new, says string }{
		{`"contest": "navidad"`, `"contest": "navidae"`, "line 3: "},
		{`"agencies": 4,`, `"agencies": 5,`, "line 5: "},
		{`"opened": "2026-12-22`, `"opened": "2026-12-23`, `line 8: it has "\"opened\": \"2026-12-23T21:00:00Z\",", the contest gives "\"opened\": \"2026-12-22`},
		{`"bets": 7`, `"bets": 6`, `it has "\"bets\": 6,", the contest gives "\"bets\": 7,"; it is not as it was written`},
		{`"ended": "missing"`, `"ended": "missinG"`, `it has "\"ended\": \"missinG\",", an acta has "\"ended\": \"open\","`},
		{`"ended": "missing"`, `"ended": "finished"`, `the contest gives "\"ended\": \"missing\","`},
		{`"winners": 0`, `"Winners": 0`, `an acta has "\"winners\": 0,"`},
		{`"documents": []`, `"documents": null`, `the contest gives "\"documents\": []"`},
		{`"drawn": "`, `"drawn": "x`, "line 10: "},
		{`"drawn": "2026-12-24T21:00:00.009Z"`, `"drawn": "9999-12-31T23:00:00-03:00"`, "line 10: "}, // in UTC another year
		{`"deadline": "2026-12-24T21:00:00Z"`, `"deadline": "0000-01-01T00:00:00+01:00"`, "line 5: "},
		{`"rows": 10`, `"rows": 1e1`, `an acta has "\"rows\": 0,"`},
		{`"format": 1`, `"format": -1`, "line 2: its format is -1, known is 1"},
		{"{\n", "{\n  \"extra\": 1,\n", `line 2: it has "\"extra\": 1,", an acta has "\"format\": 1,"`},
		{"{\n", "\ufeff{\n", "line 1: it is no JSON there"},
		{"{\n", "{\r\n", `line 1: it has "{\r", an acta has "{"`},
		{`"format": 1`, `"format": 1,` + "\n" + `  "format": 1`, "line 3: "},
	} {
		text := strings.Replace(string(kept), test.old, test.new, 1)
		if text == string(kept) {
			t.Fatalf("%s is not there", test.old)
		}
		if _, err := b.Check([]byte(text), c, nil); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.new, err, test.says)
		}
	}
}

// A contest.json that was changed may have times of years that no acta has.
func TestTimesOfNoYear(t *testing.T) {
	rows, c := contest()
	b := build(t, rows)
	kept := seal(t, b, c, nil)
	for _, year := range []int{-1, 10_000} {
		c.Times.Drawn = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		if _, err := b.Check(kept, c, nil); err == nil || !strings.Contains(err.Error(), "the contest was drawn never, the acta has 2026-") {
			t.Errorf("the year %d: %v", year, err)
		}
	}
}

// What cannot be drawn has no acta.
func TestNoActa(t *testing.T) {
	rows, c := contest()
	for name, test := range map[string]struct {
		endings []lottery.Ending
		says    string
	}{
		"betting":           {[]lottery.Ending{1, 1, 0, 1}, "the betting of agency 3 has not ended"},
		"too many agencies": {[]lottery.Ending{1, 1, 1}, "there are bets of agency 4, expected are 1 to 3"},
		"none":              {nil, "there are bets of agency 4"},
	} {
		c.Endings = test.endings
		if a, err := build(t, rows).Acta(c); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	for _, agency := range []int{-1, 0, 1_000_001} {
		if err := acta.NewBuilder().Add(lottery.Stretch{Agency: agency, Bets: 1}); err == nil {
			t.Errorf("agency %d has bets", agency)
		}
	}
}

// When many agencies differ, the error names some of them and counts the rest.
func TestManyDifferences(t *testing.T) {
	var before, after []lottery.Stretch
	endings := make([]lottery.Ending, 100)
	for i := range endings {
		endings[i] = lottery.Finished
		before = append(before, ledgertest.Stretch(ledgertest.Bets(i+1, 0, 2)...))
		after = append(after, ledgertest.Stretch(ledgertest.Bets(i+1, 1, 2)...))
	}
	kept := seal(t, build(t, before), acta.Contest{Endings: endings}, nil)
	_, err := build(t, after).Check(kept, acta.Contest{Endings: endings}, nil)
	if err == nil || strings.Count(err.Error(), "rows differ") != 20 || !strings.HasSuffix(err.Error(), "and 80 more agencies differ") {
		t.Error(err)
	}
}

// FuzzCheck gives Check anything: it must not panic, and takes only what Seal writes.
func FuzzCheck(f *testing.F) {
	rows, c := contest()
	b := build(f, rows)
	f.Add(seal(f, b, c, nil))
	f.Add(seal(f, b, c, key))
	f.Add([]byte(`{"signature":{}}`))
	f.Add([]byte(`{"agencies":[null],"signature":{"public_key":1}}`))
	f.Fuzz(func(t *testing.T, kept []byte) {
		a, err := b.Check(kept, acta.Contest{}, nil)
		if a == nil && err == nil {
			t.Fatal("there is neither an acta nor an error")
		}
		if err == nil && a.Signature == nil && !bytes.Equal(a.Seal(nil), kept) {
			t.Errorf("%q is taken", kept)
		}
	})
}

// The commands of docs/acta.md say the same as this program.
func TestDocumentedVerification(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "acta.md"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	rows, c := contest()
	kept := seal(t, build(t, rows), c, key)
	var bets []byte
	for _, s := range rows {
		bets = append(bets, s.Rows...)
	}
	public := "-----BEGIN PUBLIC KEY-----\n" + acta.PublicKey(key.Public().(ed25519.PublicKey)).String() + "\n-----END PUBLIC KEY-----\n"
	run := func(script string) string {
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = folder
		out, err := cmd.CombinedOutput()
		return fmt.Sprint(string(out), err)
	}
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, block := range []struct{ begin, tool, right, wrong string }{
		{"<!-- openssl -->", "openssl", "Signature Verified Successfully", "Signature Verification Failure"},
		{"<!-- python -->", "python3", "all as the acta says", "AssertionError"},
	} {
		_, text, found := strings.Cut(string(document), block.begin+"\n")
		text, _, ended := strings.Cut(text, "<!-- end -->")
		if !found || !ended {
			t.Fatalf("docs/acta.md has no part %s", block.begin)
		}
		if _, err := exec.LookPath(block.tool); err != nil {
			t.Logf("%s is not here", block.tool)
			continue
		}
		var script strings.Builder
		for line := range strings.Lines(text) {
			script.WriteString(strings.TrimPrefix(line, "    "))
		}
		write("bets.csv", bets)
		write("acta.json", kept)
		write("acta-public.pem", []byte(public))
		if said := run(script.String()); !strings.Contains(said, block.right) || !strings.HasSuffix(said, "<nil>") {
			t.Errorf("%s says %s", block.tool, said)
		}
		write("acta.json", bytes.Replace(kept, []byte(`"winners": 0`), []byte(`"winners": 1`), 1))
		if said := run(script.String()); !strings.Contains(said, block.wrong) || strings.HasSuffix(said, "<nil>") {
			t.Errorf("%s says of a changed acta: %s", block.tool, said)
		}
	}
}

// Keys are read as openssl writes them.
func TestKeysOfOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip(err)
	}
	folder := t.TempDir()
	out, err := exec.Command("sh", "-ec", `cd "$1"; openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out public.pem
openssl genpkey -algorithm x25519 -out other.pem; openssl pkey -in other.pem -pubout -out otherpublic.pem
openssl pkey -in key.pem -aes256 -passout pass:x -out locked.pem`, "sh", folder).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read := func(name string) []byte {
		file, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	private, err := acta.ParseKey(read("key.pem"))
	public, err2 := acta.ParsePublicKey(read("public.pem"))
	if err != nil || err2 != nil || !public.Equal(private.Public()) {
		t.Errorf("%v, %v", err, err2)
	}
	if text := string(read("public.pem")); !strings.Contains(text, "\n"+acta.PublicKey(public).String()+"\n") {
		t.Errorf("the public key is written %s, openssl writes %s", acta.PublicKey(public), text)
	}
	for _, name := range []string{"other.pem", "locked.pem", "public.pem"} {
		if _, err := acta.ParseKey(read(name)); err == nil {
			t.Errorf("%s is a key", name)
		}
	}
	for _, name := range []string{"otherpublic.pem", "key.pem"} {
		if _, err := acta.ParsePublicKey(read(name)); err == nil {
			t.Errorf("%s is a public key", name)
		}
	}
}
