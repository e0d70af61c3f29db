package admin

import (
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"loteria/codec"
)

const (
	testToken  = "sesame-0123456789"
	otherToken = "sesame-9876543210"
)

// guard is a token that can be changed.
type guard struct{ token atomic.Pointer[string] }

func (g *guard) set(token string) { g.token.Store(&token) }
func (g *guard) get() string      { return *g.token.Load() }

// showGuarded runs an admin port that asks for testToken.
func showGuarded(t testing.TB, agencies int) (*central, *guard) {
	t.Helper()
	g := &guard{}
	g.set(testToken)
	return show(t, agencies, func(config *Config) { config.Token, config.Profiles = g.get, true }), g
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestToken(t *testing.T) {
	c, _ := showGuarded(t, 1)
	for name, test := range map[string]struct {
		authorization []string
		code          int
	}{
		"none":                        {nil, 401},
		"empty":                       {[]string{""}, 401},
		"bearer":                      {[]string{"Bearer " + testToken}, 200},
		"bearer, in another case":     {[]string{"bEARER " + testToken}, 200},
		"bearer, with more spaces":    {[]string{"Bearer   " + testToken + " "}, 200},
		"bearer, another token":       {[]string{"Bearer " + otherToken}, 401},
		"bearer, without a token":     {[]string{"Bearer"}, 401},
		"bearer, a part of it":        {[]string{"Bearer " + testToken[:16]}, 401},
		"bearer, more than it":        {[]string{"Bearer " + testToken + "0"}, 401},
		"bearer, in capitals":         {[]string{"Bearer " + strings.ToUpper(testToken)}, 401},
		"no scheme":                   {[]string{testToken}, 401},
		"another scheme":              {[]string{"Digest " + testToken}, 401},
		"basic":                       {[]string{basic("operator", testToken)}, 200},
		"basic, without a user":       {[]string{basic("", testToken)}, 200},
		"basic, as the user":          {[]string{basic(testToken, "")}, 401},
		"basic, another token":        {[]string{basic("operator", otherToken)}, 401},
		"basic, with a colon":         {[]string{basic("operator", ":"+testToken)}, 401},
		"basic, that is no base64":    {[]string{"Basic " + testToken}, 401},
		"only the second of the two":  {[]string{"Bearer " + otherToken, "Bearer " + testToken}, 401},
		"only the first of the two":   {[]string{"Bearer " + testToken, "Bearer " + otherToken}, 200},
		"a long one that is no token": {[]string{"Bearer " + strings.Repeat("x", 8000)}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			// A missing path is no secret, but clients without the token learn
			// nothing.
			for _, path := range []string{"/", "/page.js", "/metrics", "/api/state", "/debug/pprof/", "/nothing"} {
				code, header, text := c.with(path, test.authorization...)
				want := test.code
				if path == "/nothing" && want == 200 {
					want = 404
				}
				if code != want {
					t.Errorf("%s gets %d %.100q, expected %d", path, code, text, want)
				}
				if code != 401 {
					continue
				}
				if !slices.Equal(header.Values("WWW-Authenticate"), challenges) {
					t.Errorf("%s is asked for %q", path, header.Values("WWW-Authenticate"))
				}
				if !strings.Contains(text, "Authorization: Bearer TOKEN") || strings.Contains(text, "sesame") {
					t.Errorf("%s is told %q", path, text)
				}
			}
			for path, want := range map[string]int{"/healthz": 200, "/readyz": 503} {
				if code, _, text := c.with(path, test.authorization...); code != want {
					t.Errorf("%s gets %d %q, expected %d", path, code, text, want)
				}
			}
		})
	}
}

// with sends a request with these Authorization headers.
func (c *central) with(path string, authorization ...string) (code int, header http.Header, body string) {
	c.t.Helper()
	return c.do("GET", path, http.Header{"Authorization": authorization})
}

// Other methods and other ways to write a path need the token, too.
func TestTokenCannotBePassedBy(t *testing.T) {
	c, _ := showGuarded(t, 1)
	for _, method := range []string{"HEAD", "OPTIONS", "POST", "TRACE", "PUT", "CONNECTED"} {
		if code, _, _ := c.do(method, "/api/state", nil); code != 401 {
			t.Errorf("%s gets %d", method, code)
		}
	}
	for _, target := range []string{"/healthz/../api/state", "//healthz/../metrics", "/healthz/", "/readyz/x", "/healthz%2f..%2fapi/state", "/HEALTHZ",
		"/api/state?x=/healthz", "/api/state;/healthz", "http://localhost/api/state"} {
		if code, header, text := c.as("GET", "localhost", target); code != 401 && code != 307 && code != 400 {
			t.Errorf("%s gets %d %v %q", target, code, header, text)
		}
	}
}

// The reasons may name files: only authorised clients are told.
func TestReadyTellsStrangersNoReason(t *testing.T) {
	c, _ := showGuarded(t, 1)
	c.open(t.TempDir(), c.admin.Observer())
	c.listen()
	c.admin.HinderedBy(func() error { return errors.New("save the draw: /bets/contest.json: no space left on device") })
	if code, _, text := c.with("/readyz"); code != 503 || text != "hindered\n" {
		t.Errorf("a stranger gets %d %q", code, text)
	}
	if code, _, text := c.with("/readyz", "Bearer "+testToken); code != 503 || !strings.Contains(text, "no space left") {
		t.Errorf("the operator gets %d %q", code, text)
	}
}

// failedLogins is a Journal.
type failedLogins struct {
	mu    sync.Mutex
	lines []string
}

func (r *failedLogins) AppendRefusal(dst []byte, action string, bets int, code, ip string, err error) []byte {
	return append(dst, strings.Join([]string{action, code, ip, err.Error()}, "|")...)
}

func (r *failedLogins) TryWrite(lines []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(lines))
}

func (r *failedLogins) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// A wrong token is logged; a missing one may be a browser that is about to ask for
// it. However many fail, the operator gets in.
func TestFailedLogins(t *testing.T) {
	journal := &failedLogins{}
	c := show(t, 1, func(config *Config) {
		config.Token, config.Journal = func() string { return testToken }, journal
	})
	c.with("/")
	if lines := journal.all(); len(lines) != 0 {
		t.Errorf("the log has %q", lines)
	}
	const failures = 300
	for range failures {
		if code, _, _ := c.with("/", "Bearer "+otherToken); code != 401 {
			t.Fatalf("another token gets %d", code)
		}
	}
	if code, _, _ := c.with("/", "Bearer "+testToken); code != 200 {
		t.Errorf("the operator gets %d", code)
	}
	lines := journal.all()
	if want := "admin_login||127.0.0.1|that is not the token of the admin port"; len(lines) != failures || lines[0] != want {
		t.Errorf("the log has %d lines, %.1q, expected %d of %q", len(lines), lines, failures, want)
	}
}

// A replaced token ends the streams that it has opened.
func TestStreamEndsWithItsToken(t *testing.T) {
	c, g := showGuarded(t, 1)
	c.authorization = "Bearer " + testToken
	s := c.stream()
	s.next("curves")
	s.next("state")
	g.set(otherToken)
	for {
		if _, err := s.lines.ReadString('\n'); err != nil {
			break
		}
	}
	c.await("the page's place is free", func() bool { return c.admin.viewers.count() == 0 })
	if code, _, _ := c.get("/api/state"); code != 401 {
		t.Errorf("the old token gets %d", code)
	}
	c.authorization = "Bearer " + otherToken
	c.stream().next("curves")
}

// The log says who may see the admin port, where that is not obvious.
func TestOpenAddressIsAWarning(t *testing.T) {
	token := func() string { return testToken }
	for name, test := range map[string]struct {
		address    string
		token, tls bool
		isWarned   bool
	}{
		"loopback":              {"127.0.0.1:0", false, false, false},
		"loopback, IPv6":        {"[::1]:0", false, false, false},
		"localhost":             {"localhost:0", false, false, false},
		"all":                   {"0.0.0.0:0", false, false, true},
		"all, IPv6":             {"[::]:0", false, false, true},
		"all, without a host":   {":0", false, false, true},
		"all, with a token":     {"0.0.0.0:0", true, false, false},
		"all, with TLS":         {"0.0.0.0:0", false, true, false},
		"all, with both":        {"0.0.0.0:0", true, true, false},
		"loopback, with both":   {"127.0.0.1:0", true, true, false},
		"loopback, as IPv6 has": {"[::ffff:127.0.0.1]:0", false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(test.address, "::1") && !hasIPv6() {
				t.Skip("this machine has no IPv6")
			}
			c := show(t, 1, func(config *Config) {
				config.Address = test.address
				if test.token {
					config.Token = token
				}
				if test.tls {
					config.TLS = newIssuer(t).store.ServerConfig
				}
			})
			if _, err := c.visit("GET /healthz HTTP/1.0\r\n\r\n").Read(make([]byte, 1)); err != nil { // an error over TLS, but still an answer
				t.Fatal(err)
			}
			log := c.log.String()
			says := `"level":"warn","action":"admin_is_open","result":"success","address":"`
			if got := strings.Count(log, says); got != map[bool]int{true: 1}[test.isWarned] || strings.Contains(log, "fail") {
				t.Errorf("there are %d warnings in\n%s", got, log)
			}
			if test.isWarned && !strings.Contains(log, "--admin-token-file") {
				t.Errorf("the warning does not say what to do:\n%s", log)
			}
		})
	}
}

func hasIPv6() bool {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		listener.Close()
	}
	return err == nil
}

// The page with a token: a person types it once, and the browser sends it for the
// page's files, the state and the stream.
func TestPageWithAToken(t *testing.T) {
	w := needBrowser(t)
	c, g := showGuarded(t, 1)
	c.open(t.TempDir(), c.admin.Observer())
	c.listen()
	typed := &typist{}
	typed.set(testToken)
	p := w.blank(t, "es")
	typed.sit(p)
	p.run(chromedp.Navigate(c.url))
	p.await("with the token", "0 de 1 agencias terminaron", "en vivo")
	c.dial().ask(batch(1, 3), codec.TypeSuccess)
	p.awaitRow(1, "enviando", "3", "–")
	if n := typed.asked.Load(); n != 1 {
		t.Errorf("the browser has asked %d times, expected once", n)
	}
	text[any](p, `fetch("api/state").then((r) => window.fetched = r.status), null`)
	p.awaitText("what is fetched", "String(window.fetched)", "200")
	p.expectNothingWrong(c.url)

	// The token is changed: the page asks for the other one, and goes on.
	typed.set(otherToken)
	g.set(otherToken)
	p.await("with another token", "se perdió la conexión")
	c.dial().ask(batch(1, 6), codec.TypeSuccess)
	p.awaitRow(1, "enviando", "9", "–")
	p.await("with another token", "en vivo")
}

// Without the token a browser shows how to present it, and nothing else.
func TestPageWithoutTheToken(t *testing.T) {
	w := needBrowser(t)
	c, _ := showGuarded(t, 1)
	p := w.blank(t, "es")
	new(typist).sit(p) // who cancels
	p.run(chromedp.Navigate(c.url))
	p.await("without a token", "the admin port needs its token")
	if text[bool](p, `Boolean(document.getElementById("agencies"))`) {
		t.Error("there is a page without the token")
	}
}
