package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"loteria/cmd/internal/admin"
	"loteria/internal/certs/certstest"
)

// writeFile writes a file and returns its path.
func writeFile(t *testing.T, folder, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	adminToken = "a-token-of-the-tests"
	otherToken = "another-of-the-tests"
)

// A central whose admin port has a token and the central's certificate, both of
// which are renewed while it runs.
func TestAdminAccess(t *testing.T) {
	authority := certstest.Authority(t)
	folder := t.TempDir()
	issue := func(until time.Duration) {
		t.Helper()
		pair, err := authority.Central([]string{"127.0.0.1"}, time.Time{}, time.Now().Add(until))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, folder, "key.pem", pair.Key)
		writeFile(t, folder, "central.pem", pair.Certificate)
	}
	issue(400 * 24 * time.Hour)
	token := writeFile(t, folder, "token", []byte(adminToken+"\n"))
	p := begin(t, "--admin", "127.0.0.1:0", "--admin-token-file", token, "--admin-tls",
		"--tls-cert", filepath.Join(folder, "central.pem"), "--tls-key", filepath.Join(folder, "key.pem"))
	_, address, _ := strings.Cut(p.Await("action: admin_listen | result: success | scheme: https"), "address: ")

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certstest.Trust(authority)}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: patience}
	ask := func(path, token string) (code int, body string, expires time.Time) {
		t.Helper()
		request, err := http.NewRequest("GET", "https://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text), response.TLS.PeerCertificates[0].NotAfter
	}
	for _, test := range []struct {
		path, token string
		code        int
	}{
		{"/", "", 401}, {"/metrics", otherToken, 401}, {"/api/state", adminToken, 200}, {"/", adminToken, 200}, {"/healthz", "", 200},
	} {
		if code, body, _ := ask(test.path, test.token); code != test.code {
			t.Errorf("%s with %q gets %d %.100s", test.path, test.token, code, body)
		}
	}
	if !p.has("admin_login") {
		p.Await("action: admin_login | result: fail | ip: 127.0.0.1 | error: that is not the token of the admin port")
	}
	if _, body, expires := ask("/metrics", adminToken); !strings.Contains(body, "\nloteria_certificate_expiry_timestamp_seconds ") || time.Until(expires) < 300*24*time.Hour {
		t.Errorf("the certificate expires at %v, and the metrics are\n%s", expires, body)
	}

	writeFile(t, folder, "token", []byte(otherToken+"\n"))
	issue(time.Hour)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		code, _, expires := ask("/api/state", otherToken)
		if code == 200 && time.Until(expires) < 2*time.Hour {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other token gets %d, the certificate expires at %v", code, expires)
		}
	}
	const failures = 150
	for range failures {
		if code, _, _ := ask("/api/state", adminToken); code != 401 {
			t.Fatalf("the old token gets %d", code)
		}
	}
	if code, _, _ := ask("/api/state", otherToken); code != 200 {
		t.Errorf("the operator gets %d after others have failed", code)
	}
	p.Stop()
	// Every failure is accounted for, in few lines when there are many at a time.
	told := 0
	for _, line := range p.Lines() {
		if !strings.Contains(line, "action: admin_login | result: fail | ip: 127.0.0.1") {
			continue
		}
		if _, text, isSum := strings.Cut(line, "suppressed_lines: "); isSum {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Errorf("the line is %q", line)
			}
			told += n
		} else {
			told++
		}
	}
	if told < failures+1 {
		t.Errorf("the log tells of %d failures, expected %d or more", told, failures+1)
	}
	if !p.has("action: reload_admin_token | result: success | file: "+token) || p.has("admin_is_open") {
		t.Errorf("the log has\n%s", p)
	}
	for _, line := range p.Lines() {
		if strings.Contains(line, adminToken) || strings.Contains(line, otherToken) {
			t.Errorf("the log tells a token: %s", line)
		}
	}
}

// An unusable token is a configuration error, and says why.
func TestAdminTokenThatCannotBeUsed(t *testing.T) {
	folder := t.TempDir()
	for name, test := range map[string]struct{ path, problem string }{
		"missing": {filepath.Join(folder, "nothing"), "no such file or directory"},
		"short":   {writeFile(t, folder, "short", []byte("secret\n")), "the first line has 6 characters; a token has from 16 to 256"},
		"spaces":  {writeFile(t, folder, "spaces", []byte("not a token at all\n")), "character 4 of the first line is no printable one of ASCII, or a space"},
		"folder":  {folder, "is no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command("--admin", "127.0.0.1:0", "--admin-token-file", test.path)
			p := start(t, cmd)
			if code := p.End(); code != 2 {
				t.Errorf("the exit code is %d, expected 2", code)
			}
			errors := p.Stderr()
			if !strings.HasPrefix(errors, "server: ADMIN_TOKEN_FILE: ") || !strings.Contains(errors, test.path) || !strings.Contains(errors, test.problem) ||
				strings.Count(errors, "\n") != 1 {
				t.Errorf("it says %q, expected one line with %s and %q", errors, test.path, test.problem)
			}
			if entries, _ := os.ReadDir(cmd.Dir); len(entries) != 0 {
				t.Errorf("it has left %v", entries)
			}
		})
	}
}

// An admin port that others can reach and read gives a warning.
func TestAdminIsOpen(t *testing.T) {
	p := launch(t, "--admin", "0.0.0.0:0")
	p.line("WARNING  action: admin_is_open | result: success | address: ")
	p.Stop()
	if p.has("result: fail") {
		t.Errorf("the log has\n%s", p)
	}
}

// After the draw, and after another start, the acta shown is that of the file.
func TestAdminShowsTheActa(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	folder := t.TempDir()
	for _, when := range []string{"after the draw", "after another start"} {
		p := begin(t, "--admin", "127.0.0.1:0", "--expected-agencies", "1", "--storage-dir", folder, "--draw-without", "1")
		url := p.admin()
		var state admin.State
		for deadline := time.Now().Add(patience); state.Acta == nil; time.Sleep(10 * time.Millisecond) {
			_, body := get(t, url+"/api/state")
			if err := json.Unmarshal([]byte(body), &state); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the state is %s", when, body)
			}
		}
		content, err := os.ReadFile(filepath.Join(folder, "acta.json"))
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%x", sha256.Sum256(content)); state.Acta.SHA256 != want || state.Acta.Signed || time.Since(state.Acta.Made) > time.Hour {
			t.Errorf("%s: the acta that is shown is %+v, expected the digest %s", when, *state.Acta, want)
		}
		p.Stop()
	}
}
