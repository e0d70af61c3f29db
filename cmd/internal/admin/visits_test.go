package admin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// visitor is a connection that is kept open.
type visitor struct {
	net.Conn
	read *bufio.Reader
}

func (v *visits) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.open)
}

func (c *central) visit(request string) *visitor {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.admin.address.String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		c.t.Fatal(err)
	}
	return &visitor{conn, bufio.NewReader(conn)}
}

// respond reads the head of an answer.
func (v *visitor) respond(t testing.TB) *http.Response {
	t.Helper()
	response, err := http.ReadResponse(v.read, nil)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

const (
	askForStream = "GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
	askForHealth = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
)

// However many hold connections, whatever they do with them, health checks are
// answered, and the open pages are fed.
func TestHealthWithManyVisitors(t *testing.T) {
	for name, request := range map[string]string{
		"say nothing":          "",
		"begin a request":      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
		"begin a body":         "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
		"have asked":           askForHealth,
		"want to be fed, too":  askForStream,
		"do not read the page": strings.Repeat("GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
	} {
		t.Run(name, func(t *testing.T) {
			c := &central{t: t, log: &logBuffer{}}
			c.admin = New(Config{Address: "127.0.0.1:0", Agencies: 1, Log: newLog(c.log)})
			c.admin.readTimeout = patience // they are as slow as they like
			c.run()
			var pages []*visitor
			for range maxViewers {
				pages = append(pages, c.visit(askForStream))
			}
			c.await("the pages are fed", func() bool { return c.admin.viewers.count() == maxViewers })
			for range 2 * MaxConnections {
				c.visit(request)
			}
			for range 3 {
				v := c.visit(askForHealth)
				if response := v.respond(t); response.StatusCode != http.StatusOK {
					t.Errorf("health is answered with %d", response.StatusCode)
				}
			}
			if n := c.admin.visits.count(); n > MaxConnections {
				t.Errorf("there are %d connections, expected %d at most", n, MaxConnections)
			}
			for _, page := range pages {
				if response := page.respond(t); response.StatusCode != http.StatusOK {
					t.Fatalf("a page got %d", response.StatusCode)
				}
			}
			if n := c.admin.viewers.count(); n != maxViewers {
				t.Errorf("%d pages are fed, expected %d", n, maxViewers)
			}
		})
	}
}

// A page too many is told so, and holds no connection.
func TestOnePageTooMany(t *testing.T) {
	c := show(t, 1, nil)
	for range maxViewers {
		c.visit(askForStream)
	}
	c.await("the pages are fed", func() bool { return c.admin.viewers.count() == maxViewers })
	v := c.visit(askForStream)
	response := v.respond(t)
	text, err := io.ReadAll(response.Body)
	if response.StatusCode != 503 || !response.Close || err != nil || !strings.Contains(string(text), fmt.Sprintf("%d pages are open already", maxViewers)) {
		t.Errorf("it is told %d %q, %v, closed: %v", response.StatusCode, text, err, response.Close)
	}
	expectClosed(t, v)
}

// Which connection is closed for a new one.
func TestLeastMissed(t *testing.T) {
	now := time.Now()
	at := func(s stage, seconds int) *visit {
		return &visit{stage: s, since: now.Add(time.Duration(seconds) * time.Second)}
	}
	for name, test := range map[string]struct {
		open  []*visit
		least int // -1 for none
	}{
		"the one that is idle":              {[]*visit{at(answering, -9), at(fresh, -8), at(idle, 0), at(feeding, -10)}, 2},
		"the one that is idle the longest":  {[]*visit{at(idle, 0), at(idle, -2), at(idle, -1)}, 1},
		"the one that has asked for least":  {[]*visit{at(answering, -9), at(fresh, 0), at(feeding, -10)}, 1},
		"the oldest that has not asked":     {[]*visit{at(fresh, -1), at(fresh, -3), at(fresh, -2)}, 1},
		"the longest answer":                {[]*visit{at(feeding, -9), at(answering, -1), at(answering, -2)}, 2},
		"never one that feeds a page":       {[]*visit{at(feeding, -9), at(answering, 0)}, 1},
		"none where there are none of them": {[]*visit{at(feeding, -9)}, -1},
	} {
		var v visits
		v.open = map[*visit]struct{}{}
		for _, visit := range test.open {
			v.open[visit] = struct{}{}
		}
		if got := slices.Index(test.open, v.leastMissed()); got != test.least {
			t.Errorf("%s: it is %d, expected %d", name, got, test.least)
		}
	}
}

// A closed connection is not counted, in whatever way it ended.
func TestVisitsEnd(t *testing.T) {
	c := show(t, 1, nil)
	c.visit("").Close()
	c.visit(askForStream).Close()
	v := c.visit("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if _, err := io.Copy(io.Discard, v); err != nil {
		t.Fatal(err)
	}
	c.visit("NO REQUEST\r\n\r\n")
	c.await("no connection is left", func() bool { return c.admin.visits.count() == 0 })
}
