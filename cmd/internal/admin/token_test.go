package admin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestTokenFile(t *testing.T) {
	sixteen := "0123456789abcdef"
	for name, test := range map[string]struct{ content, token, problem string }{
		"a line":               {sixteen + "\n", sixteen, ""},
		"without an end":       {sixteen, sixteen, ""},
		"of DOS":               {sixteen + "\r\n", sixteen, ""},
		"more lines":           {sixteen + "\nanother line\n", sixteen, ""},
		"all that is allowed":  {"!\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", "!\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", ""},
		"the longest":          {strings.Repeat("x", maxToken) + "\r\n", strings.Repeat("x", maxToken), ""},
		"empty":                {"", "", "the first line is empty"},
		"an empty line":        {"\n" + sixteen + "\n", "", "the first line is empty"},
		"short":                {sixteen[1:] + "\n" + sixteen, "", "the first line has 15 characters; a token has from 16 to 256"},
		"too long":             {strings.Repeat("x", maxToken+1) + "\n", "", "the first line has more than 256 characters"},
		"much too long":        {strings.Repeat("x", 1<<20), "", "the first line has more than 256 characters"},
		"a space":              {"01234567 89abcdef", "", "character 9 of the first line is no printable one of ASCII, or a space"},
		"a space at the end":   {sixteen + " \n", "", "character 17 of"},
		"a tab":                {"\t" + sixteen, "", "character 1 of"},
		"a zero":               {sixteen + "\x00", "", "character 17 of"},
		"a DEL":                {sixteen + "\x7f", "", "character 17 of"},
		"no ASCII":             {"contraseña-secreta", "", "character 9 of"},
		"a byte order mark":    {"\ufeff" + sixteen, "", "character 1 of"},
		"carriage returns":     {sixteen + "\r\r\n", "", "character 17 of"},
		"carriage returns too": {strings.Repeat("\r", 40) + "\n", "", "character 1 of"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			write(t, path, test.content)
			f, err := OpenToken(path, newLog(&logBuffer{}))
			if test.problem == "" {
				if err != nil || f.Token() != test.token {
					t.Fatalf("the token is read as %v, %v", f, err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "the token of the admin port: "+path+": ") || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("the error is %v, expected the file and %q", err, test.problem)
			}
			if err != nil && strings.Contains(err.Error(), "89abcdef") {
				t.Errorf("the error tells the token: %v", err)
			}
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTokenFileThatIsNone(t *testing.T) {
	folder := t.TempDir()
	pipe := filepath.Join(folder, "pipe") // opening one waits for a writer
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{filepath.Join(folder, "nothing"): fs.ErrNotExist, folder: nil, pipe: nil, "/dev/zero": nil} {
		_, err := OpenToken(path, newLog(&logBuffer{}))
		if err == nil || !strings.Contains(err.Error(), path) || want != nil && !errors.Is(err, want) {
			t.Errorf("%s is read with %v", path, err)
		}
		if want == nil && !strings.Contains(err.Error(), "is no regular file") {
			t.Errorf("%s is read with %v", path, err)
		}
	}
}

// A changed token is valid from then on; an unusable file changes nothing, and is
// logged once.
func TestTokenFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, testToken+"\n")
	log := &logBuffer{}
	f, err := OpenToken(path, newLog(log))
	if err != nil {
		t.Fatal(err)
	}
	f.period = 0
	expect := func(what, token string, reloads, problems int) {
		t.Helper()
		for range 3 {
			if got := f.Token(); got != token {
				t.Errorf("%s: the token is %q, expected %q", what, got, token)
			}
		}
		says := log.String()
		if got := strings.Count(says, `"action":"reload_admin_token","result":"success","file":"`+path); got != reloads {
			t.Errorf("%s: %d reloads in the log, expected %d\n%s", what, got, reloads, says)
		}
		if got := strings.Count(says, `"action":"reload_admin_token","result":"fail"`); got != problems {
			t.Errorf("%s: %d problems in the log, expected %d\n%s", what, got, problems, says)
		}
		if strings.Contains(says, "sesame") {
			t.Errorf("%s: the log tells a token\n%s", what, says)
		}
	}
	expect("as it was", testToken, 0, 0)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, otherToken+"\n") // as long as the other one, and of the same time
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	expect("another one", otherToken, 1, 0)
	write(t, path, "")
	expect("an empty file, such as one that is being written", otherToken, 1, 1)
	write(t, path, "short")
	expect("another problem", otherToken, 1, 2)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("no file", otherToken, 1, 3)
	write(t, path, otherToken)
	expect("it is back", otherToken, 2, 3)
	next := filepath.Join(filepath.Dir(path), "next")
	write(t, next, testToken)
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	expect("renamed to it", testToken, 3, 3)
}

// With many callers, the file is read once a second at most, and nobody waits for
// the reading one.
func TestTokenFileIsReadBySomeoneElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, testToken)
	f, err := OpenToken(path, newLog(&logBuffer{}))
	if err != nil {
		t.Fatal(err)
	}
	f.period = time.Hour
	write(t, path, otherToken)
	if f.Token() != testToken {
		t.Error("it was read again at once")
	}
	f.period = 0
	f.reading.Lock() // somebody reads it, and the disk is slow
	if f.Token() != testToken {
		t.Error("it was read twice at a time")
	}
	f.reading.Unlock()
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 100 {
				f.Token()
			}
		})
	}
	asking.Wait()
	if f.Token() != otherToken {
		t.Error("it is not read again")
	}
}
