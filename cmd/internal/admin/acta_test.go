package admin

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"loteria/codec"
)

// digest is of some acta.
const digest = "3f2a9c01b7d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e"

// drawn is a central whose draw is done.
func drawn(t *testing.T) *central {
	t.Helper()
	c := start(t, 1)
	c.dial().ask(finish(1), codec.TypeSuccess)
	<-c.contest.Drawn()
	return c
}

func TestActa(t *testing.T) {
	c := drawn(t)
	const metric = "loteria_acta_made_timestamp_seconds"
	if _, _, body := c.get("/api/state"); !strings.Contains(body, `"acta":null`) {
		t.Errorf("before there is one, the state is %s", body)
	}
	if made, there := c.samples()[metric]; there {
		t.Errorf("before there is one, it was made at %v", made)
	}
	s := c.stream()
	made := time.Date(2026, 12, 24, 21, 0, 3, 500_000_000, time.UTC)
	c.admin.ShowActa(Acta{Made: made, SHA256: digest, Signed: true})
	s.until(func(state *State) bool { return state.Acta != nil }) // without being asked
	if _, _, body := c.get("/api/state"); !strings.Contains(body, `"acta":{"made":"2026-12-24T21:00:03.5Z","sha256":"`+digest+`","signed":true}`) {
		t.Errorf("the state is %s", body)
	}
	if got := c.samples()[metric]; got != float64(made.UnixMilli())/1000 {
		t.Errorf("it was made at %v, expected %v", got, made)
	}
}

// It may be made again at a start, before anything is listened to.
func TestActaBeforeTheContestIsOpen(t *testing.T) {
	c := show(t, 1, nil)
	c.admin.ShowActa(Acta{Made: time.Now(), SHA256: digest})
	if acta := c.state().Acta; acta == nil || acta.SHA256 != digest || acta.Signed {
		t.Errorf("the state has %+v", acta)
	}
}

func TestPageWithAnActa(t *testing.T) {
	w := needBrowser(t)
	c := drawn(t)
	made := time.Date(2026, 12, 24, 18, 0, 3, 0, time.Local)
	const hidden = `String(!document.getElementById("acta").checkVisibility())`
	es := w.open(t, c.url, "es-ES")
	es.await("before", "Sorteo hecho")
	es.awaitText("before", hidden, "true")
	c.admin.ShowActa(Acta{Made: made, SHA256: digest, Signed: true})
	es.await("in Spanish", "Acta del 24 dic 2026, 18:00:03, firmada.", "SHA-256 3f2a9c01…4b5c6d7e")
	c.admin.ShowActa(Acta{Made: made, SHA256: digest})
	es.await("in Spanish", "Acta del 24 dic 2026, 18:00:03, sin firma.")
	en := w.open(t, c.url, "en-GB")
	en.await("in English", "Acta of 24 Dec 2026, 18:00:03, not signed.")
	c.admin.ShowActa(Acta{Made: made, SHA256: digest, Signed: true})
	en.await("in English", "Acta of 24 Dec 2026, 18:00:03, signed.")

	// By keyboard: past the link to the agencies, the digest opens.
	whole := `String(document.getElementById("acta-sha256").checkVisibility())`
	en.awaitText("at first it is short", whole, "false")
	en.run(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	en.awaitText("the second stop", "document.activeElement.id", "acta-short")
	if nodes := en.nodes(); nodes[node{"DisclosureTriangle", "SHA-256 3f2a9c01…4b5c6d7e"}] != 1 {
		t.Errorf("a screen reader knows of %v", nodes)
	}
	en.run(chromedp.KeyEvent(kb.Enter))
	en.awaitText("it opens", whole, "true")
	en.awaitText("it is whole", `document.getElementById("acta-sha256").innerText`, digest)
	// One click takes all of it.
	en.run(chromedp.Click(chromedp.CSS("#acta-sha256")))
	en.awaitText("what is copied", "String(getSelection())", digest)
	// A state that says the same leaves it as it is.
	tick := c.state().Tick
	c.await("there are more states", func() bool { return c.state().Tick >= tick+3 })
	en.awaitText("it stays open", whole, "true")
	en.awaitText("what is selected stays", "String(getSelection())", digest)
	es.expectNothingWrong(c.url)
	en.expectNothingWrong(c.url)
}

// The acta, an expiring certificate and the state of TLS can be read in both
// schemes and languages, and fit on a phone.
func TestPageOfAnActaIsReadable(t *testing.T) {
	w := needBrowser(t)
	c := drawn(t)
	c.admin.ShowActa(Acta{Made: time.Now(), SHA256: digest, Signed: true})
	c.admin.ShowCertificate(func() time.Time { return time.Now().Add(-time.Hour) })
	expectReadable(t, w, c.url, func(p *tab) {
		p.await("on a phone", "SHA-256 3f2a9c01")
		p.run(chromedp.Click(chromedp.CSS("#acta-short")))
		p.await("on a phone", digest)
	})
}

func TestCertificateExpiry(t *testing.T) {
	w := needBrowser(t)
	c := start(t, 1)
	const metric = "loteria_certificate_expiry_timestamp_seconds"
	if at, there := c.samples()[metric]; there {
		t.Errorf("without a certificate it expires at %v", at)
	}
	p := w.open(t, c.url, "es-ES")
	p.await("without a certificate", "No hubo ninguno.")
	var expires atomic.Pointer[time.Time]
	set := func(at time.Time) { expires.Store(&at) }
	const day = 24 * time.Hour
	set(time.Now().Add(31 * day))
	c.admin.ShowCertificate(func() time.Time { return *expires.Load() })
	c.await("the state has it", func() bool { return c.state().CertificateExpires != nil })
	tick := c.state().Tick
	p.awaitText("the page has seen it", fmt.Sprintf("String(curves.tick > %d)", tick), "true")
	const problem = `document.getElementById("certificate-problem").innerText`
	p.awaitText("with a month and a day to go", problem, "")
	p.await("with a month and a day to go", "No hubo ninguno.")

	soon := time.Now().Add(29 * day)
	set(soon)
	p.awaitText("with less than a month to go", problem,
		"El certificado de la central vence el "+text[string](p, fmt.Sprintf("dates.format(new Date(%d))", soon.UnixMilli()))+": hay que renovarlo.")
	if text[bool](p, `document.getElementById("none").checkVisibility()`) {
		t.Error("the page says that there was no problem")
	}
	if got := c.samples()[metric]; got != float64(soon.UnixMilli())/1000 {
		t.Errorf("it expires at %v, expected %v", got, soon)
	}
	en := w.open(t, c.url, "en-GB")
	en.await("in English", "The central's certificate expires on ", ": renew it.")

	set(time.Now().Add(-time.Minute))
	p.await("when it has expired", "El certificado de la central venció el ", "por TLS nadie puede conectarse.")
	en.await("in English", "The central's certificate expired on ", "nobody can connect over TLS.")

	set(time.Now().Add(365 * day)) // it was renewed
	p.await("renewed", "No hubo ninguno.")
	p.awaitText("renewed", problem, "")
	p.expectNothingWrong(c.url)
}
