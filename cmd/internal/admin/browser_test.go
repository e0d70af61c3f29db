package admin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"loteria/internal/browser"
)

// requireChromium is set where the absence of a browser must not go unnoticed.
const requireChromium = "REQUIRE_CHROMIUM"

// chromium is one browser for all tests of the page. It ends with the tests.
var chromium = sync.OnceValues(func() (tab context.Context, err error) {
	tab, closeBrowser, err = browser.Start(context.Background())
	return tab, err
})

var closeBrowser func() // nil until there is one

// step is something to do in a tab.
type step = chromedp.Action[chromedp.Void]

// call is a command of the DevTools protocol, without its answer.
func call[P, R any](command cdp.Command[P, R], params P) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// tab is a page of the browser, opened on the admin port.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	wrong    []string // what the browser has complained of
	requests []string
}

// window is where a test opens its tabs.
type window struct{ browser context.Context }

// needBrowser is the first line of each test of the page: without a browser it
// skips the test before anything is started. Tabs are opened in its result, so that
// none can do without it.
func needBrowser(t testing.TB) window {
	t.Helper()
	browserContext, err := chromium()
	switch {
	case errors.Is(err, browser.ErrNone) && os.Getenv(requireChromium) == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return window{browserContext}
}

// open opens a tab in a language, and the page in it. prepare runs before.
func (w window) open(t testing.TB, address, language string, prepare ...step) *tab {
	t.Helper()
	p := w.blank(t, language)
	p.run(prepare...)
	p.run(chromedp.Navigate(address))
	return p
}

// blank opens an empty tab in a language.
func (w window) blank(t testing.TB, language string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(w.browser)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.hear); err != nil {
		t.Fatal(err)
	}
	p.run(
		call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}), call(runtime.Enable, cdp.Empty{}),
		call(emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "test", AcceptLanguage: language}),
	)
	return p
}

// typist types passwords when the browser asks for one.
type typist struct {
	password atomic.Pointer[string] // nil cancels
	asked    atomic.Int32           // times
}

func (y *typist) set(password string) { y.password.Store(&password) }

// sit has the typist answer what the tab asks.
func (y *typist) sit(p *tab) {
	p.t.Helper()
	answers := make(chan step, 1024) // more than a page asks for; the listener must not wait
	go func() {
		for {
			select {
			case s := <-answers:
				_ = chromedp.Do(p.ctx, s) // the tab may be closed
			case <-p.ctx.Done():
				return
			}
		}
	}()
	do := func(s step) { answers <- s }
	if err := chromedp.Listen(p.ctx, func(event any) {
		switch event := event.(type) {
		case *fetch.EventRequestPaused:
			do(call(fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: event.RequestID}))
		case *fetch.EventAuthRequired:
			y.asked.Add(1)
			answer := &fetch.AuthChallengeResponse{Response: fetch.AuthChallengeResponseResponseCancelAuth}
			if password := y.password.Load(); password != nil {
				answer = &fetch.AuthChallengeResponse{
					Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: "operator", Password: *password,
				}
			}
			do(call(fetch.ContinueWithAuth, fetch.ContinueWithAuthParams{RequestID: event.RequestID, AuthChallengeResponse: answer}))
		}
	}); err != nil {
		p.t.Fatal(err)
	}
	isAsked := true
	p.run(call(fetch.Enable, fetch.EnableParams{HandleAuthRequests: &isAsked}))
}

func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		p.wrong = append(p.wrong, fmt.Sprintf("%+v", *event.ExceptionDetails))
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError || event.Entry.Level == log.EntryLevelWarning {
			p.wrong = append(p.wrong, event.Entry.Text+" "+event.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, event.Request.URL)
	}
}

func (p *tab) run(steps ...step) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// text returns the value of an expression of JavaScript.
func text[T any](p *tab, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

// await waits until the page's text has all of these, each somewhere.
func (p *tab) await(what string, parts ...string) {
	p.t.Helper()
	var body string
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		body = text[string](p, "document.body.innerText")
		missing := slices.IndexFunc(parts, func(part string) bool { return !strings.Contains(body, part) })
		if missing < 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: the page never had %q, but\n%s", what, parts[missing], body)
		}
	}
}

// awaitText waits until an expression of JavaScript has that value.
func (p *tab) awaitText(what, expression, want string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got := text[string](p, expression)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: the page has %q, expected %q", what, got, want)
		}
	}
}

// expectNothingWrong expects that the browser has not complained, and that
// everything came from the admin port.
func (p *tab) expectNothingWrong(address string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.wrong) > 0 {
		p.t.Errorf("the browser says %q", p.wrong)
	}
	home, err := url.Parse(address)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, request := range p.requests {
		if u, err := url.Parse(request); err != nil || u.Host != home.Host {
			p.t.Errorf("the page has asked for %s, which is not of %s", request, home.Host)
		}
	}
}
