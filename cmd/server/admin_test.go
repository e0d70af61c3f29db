package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loteria/codec"
)

// admin returns the admin port's address, once it listens.
func (p *process) admin() (url string) {
	p.t.Helper()
	_, address, _ := strings.Cut(p.line("action: admin_listen | result: success"), "address: ")
	return "http://" + address
}

func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// The flags, the counts and the log of a central with an admin port.
func TestAdmin(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	p := launch(t, "--admin", "127.0.0.1:0", "--admin-pprof", "--expected-agencies", "1", "--contest", "navidad",
		"--draw-deadline", "2099-12-24T18:00:00Z")
	url := p.admin()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		code, body := get(t, url+"/readyz")
		if code == 200 && body == "taking bets\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("/readyz answers %d %s", code, body)
		}
	}
	conn := p.dial()
	p.exchange(conn, []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	for path, want := range map[string]string{
		"/":                 "<title>Lotería Nacional</title>",
		"/metrics":          "\nloteria_bets_total{agency=\"1\"} 1\n",
		"/api/state":        `"contest":"navidad","ready":true`,
		"/debug/pprof/heap": "",
	} {
		if code, body := get(t, url+path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s answers %d %.300s, expected %q in it", path, code, body, want)
		}
	}
	for deadline := time.Now().Add(patience); ; { // the agency has its answer before
		if _, body := get(t, url+"/metrics"); strings.Contains(body, "\nloteria_sync_seconds_count 1\n") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the commit is not in the metrics")
		}
	}
	if _, body := get(t, url+"/api/state"); !strings.Contains(body, `"deadline":"2099-12-24T18:00:00Z"`) {
		t.Errorf("the state is %s, expected the deadline in it", body)
	}
	p.Stop()
	if ledger, admin := p.index("action: close_ledger"), p.index("action: close_admin"); ledger < 0 || admin < ledger {
		t.Errorf("the admin port closes in line %d, the ledger in line %d: expected after it\n%s", admin, ledger, p)
	}
	if p.has("result: fail") {
		t.Errorf("the log has a failure:\n%s", p)
	}
}

// A lottery needs no admin port: it may be off, or its address in use.
func TestWithoutAdmin(t *testing.T) {
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer occupied.Close()
	for name, test := range map[string]struct {
		address, says string
		lines         int
	}{
		"off":    {"off", "admin", 0},
		"in use": {occupied.Addr().String(), "WARNING  action: admin_listen | result: in_progress | address: " + occupied.Addr().String() + " | reason: address already in use", 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := launch(t, "--admin", test.address)
			p.exchange(p.dial(), []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
			if test.lines > 0 {
				p.line(test.says)
			}
			p.Stop()
			if p.Count(test.says) != test.lines || p.has("result: fail") || p.has("close_admin") {
				t.Errorf("the log has\n%s\nexpected %d lines with %q and no failure", p, test.lines, test.says)
			}
		})
	}
}

// systemd is told when bets are taken, and when that ends.
func TestSystemdIsTold(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	expect := func(want string) {
		t.Helper()
		_ = listener.SetReadDeadline(time.Now().Add(patience))
		text := make([]byte, 100)
		n, err := listener.Read(text)
		if err != nil || string(text[:n]) != want {
			t.Fatalf("systemd hears %q, %v, expected %q", text[:n], err, want)
		}
	}
	p := launch(t)
	expect("READY=1")
	p.Stop()
	expect("STOPPING=1")
}

// The page shows the deadline that the contest has kept.
func TestAdminShowsTheKeptDeadline(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	args := []string{"--storage-dir", t.TempDir(), "--admin", "127.0.0.1:0"}
	for _, deadline := range []string{"2099-12-24T15:00:00-03:00", ""} {
		p := launch(t, append(args, "--draw-deadline", deadline)...)
		url := p.admin()
		if _, body := get(t, url+"/api/state"); !strings.Contains(body, `"deadline":"2099-12-24T18:00:00Z"`) {
			t.Errorf("the state is %s, expected the deadline in it", body)
		}
		p.Stop()
	}
}
