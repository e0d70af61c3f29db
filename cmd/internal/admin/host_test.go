package admin

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// as asks for another host's name, and returns the answer's code and text.
func (c *central) as(method, host, path string) (code int, header http.Header, text string) {
	c.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", method, path, host)
	if host == "" {
		request = fmt.Sprintf("%s %s HTTP/1.0\r\n\r\n", method, path)
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		c.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("%s %s of host %q: %v", method, path, host, err)
	}
	start := make([]byte, 4096)
	n, _ := response.Body.Read(start)
	return response.StatusCode, response.Header, string(start[:n])
}

// A web page whose name resolves to this machine reads nothing here.
func TestForeignHost(t *testing.T) {
	c := show(t, 1, func(config *Config) { config.Hosts = []string{"Central.example", "2001:db8::7"} })
	open := show(t, 1, func(config *Config) { config.Address = "0.0.0.0:0" })
	open.url = strings.NewReplacer("[::]", "127.0.0.1", "0.0.0.0", "127.0.0.1").Replace(open.url)
	own := []string{"localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1", "127.0.0.1:1", "127.9.9.9:8080", "[::1]:8080", "[::1]",
		"[::ffff:127.0.0.1]:80", ""}
	foreign := []string{"evil.example", "evil.example:8080", "x", "localhost.evil.example", "127.0.0.1.evil.example", "central", "192.0.2.1",
		"192.0.2.1:8080", "[2001:db8::8]", "0.0.0.0:8080", "evil.localhost"}
	for _, test := range []struct {
		name         string
		of           *central
		own, foreign []string
	}{
		{"loopback", c, slices.Concat(own, []string{"central.example", "CENTRAL.example.:8080", "[2001:DB8::7]:80"}), foreign},
		{"every address", open, slices.Concat(own, []string{"0.0.0.0:8080"}), []string{"evil.example", "central.example", "192.0.2.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, host := range test.own {
				if code, _, text := test.of.as("GET", host, "/api/state"); code != 200 {
					t.Errorf("host %q gets %d %s", host, code, text)
				}
			}
			for _, host := range test.foreign {
				for _, path := range []string{"/", "/page.js", "/metrics", "/api/state", "/api/stream", "/debug/pprof/", "/nothing"} {
					code, header, text := test.of.as("GET", host, path)
					if code != 421 || !strings.Contains(text, "--admin-hosts (ADMIN_HOSTS)") || header.Get("X-Content-Type-Options") != "nosniff" {
						t.Errorf("%s of host %q gets %d %q, expected 421 and what to do", path, host, code, text)
					}
				}
				for _, path := range []string{"/healthz", "/readyz"} { // are for probes, however they call the central
					if code, _, text := test.of.as("GET", host, path); code == 421 {
						t.Errorf("%s of host %q gets %d %q", path, host, code, text)
					}
				}
			}
		})
	}
}

// The address that a connection came in on is the admin port's own, whatever it
// listens on.
func TestHostIsTheOwnAddress(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	c := show(t, 1, func(config *Config) { config.Address = ":0" })
	_, port, _ := net.SplitHostPort(c.admin.address.String())
	for _, address := range addresses {
		ip := address.(*net.IPNet).IP
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		c.url = "http://" + net.JoinHostPort(ip.String(), port)
		if code, _, text := c.as("GET", net.JoinHostPort(ip.String(), port), "/api/state"); code != 200 {
			t.Errorf("%v gets %d %s", ip, code, text)
		}
		if code, _, _ := c.as("GET", "198.51.100.7:"+port, "/api/state"); code != 421 {
			t.Errorf("on %v another address gets %d", ip, code)
		}
		return
	}
	t.Skip("this machine has no address beside loopback")
}

// A HEAD request for the stream takes no page's place, and proxies are told to pass
// each state on.
func TestHeadOfTheStream(t *testing.T) {
	c := show(t, 1, nil)
	for _, method := range []string{"HEAD", "GET"} {
		code, header, _ := c.as(method, "localhost", "/api/stream")
		if code != 200 || header.Get("Content-Type") != "text/event-stream" || header.Get("X-Accel-Buffering") != "no" ||
			!strings.Contains(header.Get("Cache-Control"), "no-cache") {
			t.Errorf("%s gets %d %v", method, code, header)
		}
	}
	c.await("the one that was read has left", func() bool { return c.admin.viewers.count() == 0 })
	var heads []net.Conn
	for range 2 * maxViewers {
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		heads = append(heads, conn)
		if _, err := conn.Write([]byte("HEAD /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.admin.viewers.count(); n != 0 {
		t.Errorf("%d of %d that asked for the head take a place", n, len(heads))
	}
	c.stream().next("curves")
}
