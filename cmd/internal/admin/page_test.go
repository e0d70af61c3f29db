package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/rs/zerolog"
	"loteria/agency"
	"loteria/codec"
	"loteria/lottery/ledgertest"
)

// row returns the texts of the cells of an agency's row; for the curve, what a
// screen reader says.
func (p *tab) row(agency int) []string {
	p.t.Helper()
	return text[[]string](p, fmt.Sprintf(`[...document.querySelectorAll("#agencies tbody tr")[%d].cells].map(
		(cell) => cell.querySelector("svg") ? cell.querySelector("svg").getAttribute("aria-label") : cell.innerText.trim())`, agency-1))
}

// awaitRow waits until cells of an agency's row have these texts.
func (p *tab) awaitRow(agency int, state, bets, winners string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		row := p.row(agency)
		if strings.HasPrefix(row[1], state) && row[2] == bets && row[5] == winners {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the row is %q, expected are %s, %s bets, %s winners", row, state, bets, winners)
		}
	}
}

// shippedData is the folder with the data set of the project.
const shippedData = "../../../.data"

// play runs an agency on its file until it is done or ctx ends.
func (c *central) play(ctx context.Context, id int, period time.Duration) error {
	return agency.Run(ctx, agency.Config{
		ID: id, Address: c.address, Mode: agency.ModeBatch, DataDir: shippedData,
		BatchMaxAmount: 100, Window: 32, LoopPeriod: period, ConnectTimeout: patience,
	}, zerolog.Nop())
}

// TestPage has a whole lottery run in front of the page: five agencies with the
// data of the project, from nothing to the draw.
func TestPage(t *testing.T) {
	w := needBrowser(t)
	c := show(t, 5, nil)
	p := w.open(t, c.url, "es-AR")
	p.await("while the ledger is read", "navidad", "en vivo", "Recuperando el registro de apuestas")

	c.open(t.TempDir(), c.admin.Observer())
	c.listen()
	p.await("an empty lottery", "0 de 5 agencias terminaron", "Faltan las agencias 1, 2, 3, 4 y 5.", "No hubo ninguno.")
	for id := 1; id <= 5; id++ {
		p.awaitRow(id, "sin noticias", "0", "–")
	}

	// The largest agency sends slowly, so that it can be seen to send.
	const slow = 1
	slowly, stop := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- c.play(slowly, slow, 10*time.Millisecond) }()
	p.awaitCurve("the curve of the agency that sends rises", slow)
	stop()
	if err := <-stopped; !errors.Is(err, agency.ErrStopped) {
		t.Fatal(err)
	}
	// Its bets are still stored after its connection has ended.
	c.await("what was sent is stored", func() bool {
		stats := c.reactor.Stats()
		return stats.Connections == 0 && stats.Jobs == 0
	})
	p.awaitRow(slow, "enviando", c.localBets(slow), "–")

	p.expectProblems(0)
	bad := c.dial()
	bad.ask(badBatch(slow, 7), codec.TypeError)
	p.await("a refusal", "Agencia 1", "número inválido, 7 apuestas", "bad_number 127.0.0.1", "1 rechazo")
	bad.ask(badBatch(slow, 7), codec.TypeError)
	p.await("the same again", "número inválido, 14 apuestas, 2 veces", "2 rechazos")
	c.dial().ask(&codec.Finished{Agency: "77"}, codec.TypeError)
	p.await("an unknown agency", "Agencia 77", "agencia que no se espera")
	p.expectProblems(2)

	// The others send, finish and ask; their queries are parked.
	var playing sync.WaitGroup
	for id := 2; id <= 5; id++ {
		playing.Go(func() {
			if err := c.play(t.Context(), id, 0); err != nil {
				t.Errorf("agency %d: %v", id, err)
			}
		})
	}
	p.await("parked queries", "4 de 5 agencias terminaron", "Falta la agencia 1.")
	p.awaitText("parked queries", `document.getElementById("parked").innerText`, "4")
	for id := 2; id <= 5; id++ {
		p.awaitRow(id, "terminó", c.localBets(id), "–")
	}
	if got := text[float64](p, `document.getElementById("progress").position`); got != 0.8 {
		t.Errorf("the progress is at %v, expected 4 of 5", got)
	}

	if err := c.play(t.Context(), slow, 0); err != nil {
		t.Fatal(err)
	}
	playing.Wait()
	winners := 0
	for id := 1; id <= 5; id++ {
		documents, drawn, err := c.contest.Winners(id)
		if err != nil || !drawn {
			t.Fatalf("agency %d: %v, drawn: %v", id, err, drawn)
		}
		winners += len(documents)
		p.awaitRow(id, "avisada", c.localBets(id), fmt.Sprint(len(documents)))
	}
	if winners < 2 {
		t.Fatalf("the data has %d winners: the text would be another", winners)
	}
	p.await("the draw", fmt.Sprintf("Sorteo hecho: %d ganadores", winners), "A las ")
	p.awaitText("parked queries", `document.getElementById("parked").innerText`, "0")
	if title, want := text[string](p, "document.title"), fmt.Sprintf("%d ganadores · Lotería Nacional", winners); title != want {
		t.Errorf("the title is %q, expected %q", title, want)
	}
	c.admin.Stopping()
	p.await("a stop", "La central se está deteniendo.")
	p.expectNothingWrong(c.url)
}

func TestPageWithABrokenLedger(t *testing.T) {
	w := needBrowser(t)
	c := start(t, 1)
	p := w.open(t, c.url, "es")
	p.await("before", "0 de 1 agencias terminaron")
	c.admin.HinderedBy(func() error { return errors.New("save the draw: no space left on device") })
	p.await("a hindrance", "La central no puede seguir por ahora: save the draw: no space left on device")
	c.breakLedger()
	p.await("a ledger that has failed", "El registro de apuestas falló: la central no acepta más apuestas.", "no se pudo guardar, 3 apuestas")
}

// localBets is how many bets of the agency are stored, as an Argentine writes it.
func (c *central) localBets(agency int) string {
	n := fmt.Sprint(c.contest.Standings()[agency-1].Bets)
	for i := len(n) - 3; i > 0; i -= 3 {
		n = n[:i] + "." + n[i:]
	}
	return n
}

// awaitCurve waits until the curve of an agency is drawn, and not flat.
func (p *tab) awaitCurve(what string, agency int) {
	p.t.Helper()
	p.awaitText(what, fmt.Sprintf(`String(new Set([...document.querySelectorAll("#agencies tbody tr")[%d]
		.querySelector("path.line").getAttribute("d").matchAll(/[,V]([\d.]+)/g)].map((m) => m[1])).size > 1)`, agency-1), "true")
}

func (p *tab) expectProblems(n int) {
	p.t.Helper()
	if got := text[int](p, `document.querySelectorAll("#problems li").length`); got != n {
		p.t.Errorf("%d problems are listed, expected %d", got, n)
	}
}

// settled is a central whose page has something of everything.
func settled(t *testing.T) *central {
	t.Helper()
	c := start(t, 3)
	one, two := c.dial(), c.dial()
	one.ask(batch(1, 60), codec.TypeSuccess)
	one.ask(finish(1), codec.TypeSuccess)
	two.ask(batch(2, 1), codec.TypeSuccess)
	two.ask(badBatch(2, 1), codec.TypeError)
	return c
}

func TestPageInEnglish(t *testing.T) {
	w := needBrowser(t)
	c := settled(t)
	for _, language := range []string{"en-GB", "de-DE"} { // English is the fallback
		p := w.open(t, c.url, language)
		p.await(language, "1 of 3 agencies have finished", "Agencies 2 and 3 are still to finish.", "invalid number, 1 bet", "1 refusal", "live")
		p.awaitRow(1, "finished", "60", "–")
		p.awaitRow(3, "not heard of", "0", "–")
		p.expectNothingWrong(c.url)
	}
	dated := show(t, 1, func(config *Config) { config.Deadline = time.Date(2026, 12, 24, 18, 0, 0, 0, time.Local) })
	dated.open(t.TempDir(), nil)
	w.open(t, dated.url, "en-GB").await("a deadline", "Agency 1 is still to finish. The draw is at 24 Dec 2026, 18:00 at the latest.")
	p := w.open(t, c.url, "fr-FR,es-ES")
	p.await("the first language that there is", "1 de 3 agencias terminaron")
}

// Both languages have the same texts, and a word for every code.
func TestTexts(t *testing.T) {
	w := needBrowser(t)
	c := settled(t)
	p := w.open(t, c.url, "es")
	keys := func(language string) []string {
		return text[[]string](p, `(() => { const all = [];
			const walk = (from, path) => Object.entries(from).forEach(([key, value]) =>
				typeof value === "object" ? walk(value, path + key + ".") : all.push(path + key));
			walk(texts.`+language+`, ""); return all.sort() })()`)
	}
	es, en := keys("es"), keys("en")
	if !slices.Equal(es, en) {
		t.Errorf("in Spanish there are %q, in English %q", es, en)
	}
	for code := range c.admin.counters.refusals {
		if !slices.Contains(es, "codes."+string(code)) {
			t.Errorf("the page has no words for %s", code)
		}
	}
}

// contrast is the least contrast of a text with what is behind it, and which
// text that is (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
const contrast = `(() => {
	const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
	const light = (colour) => numbers(colour).slice(0, 3).map((c) => c / 255)
		.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (element) => {
		for (; element; element = element.parentElement) {
			const colour = getComputedStyle(element).backgroundColor;
			if ((numbers(colour)[3] ?? 1) === 1) return colour;
		}
		return "rgb(255, 255, 255)";
	};
	let least = { ratio: 21, text: "" };
	for (const element of document.querySelectorAll("body *")) {
		const own = [...element.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim());
		if (!own || !element.checkVisibility()) continue;
		const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < least.ratio) least = { ratio, text: element.textContent.trim() };
	}
	return least;
})()`

// inScheme has the browser prefer light or dark.
func inScheme(scheme string) step {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// expectContrast fails the test when a text of the page is hard to tell from what is
// behind it.
func (p *tab) expectContrast(when string) {
	p.t.Helper()
	least := text[struct {
		Ratio float64
		Text  string
	}](p, contrast)
	if least.Ratio < 4.5 || least.Text == "" {
		p.t.Errorf("%s: %q has a contrast of %.1f, expected at least 4.5", when, least.Text, least.Ratio)
	}
}

// expectReadable opens the page on a phone in both languages and schemes, has await
// wait for what is to be seen there, and fails the test unless it can be read.
func expectReadable(t *testing.T, w window, url string, await func(p *tab)) {
	t.Helper()
	for _, language := range []string{"es", "en"} {
		for _, scheme := range []string{"light", "dark"} {
			p := w.open(t, url, language, chromedp.EmulateViewport(360, 740, chromedp.EmulateScale(2)), inScheme(scheme))
			await(p)
			if width := text[int](p, "document.documentElement.scrollWidth"); width > 360 {
				t.Errorf("%s: the page is %d pixels wide on a screen of 360", language, width)
			}
			p.expectContrast(scheme)
		}
	}
}

// In both schemes every text can be read, and the schemes differ.
func TestPageLightAndDark(t *testing.T) {
	w := needBrowser(t)
	c := settled(t)
	backs := map[string]bool{}
	for _, scheme := range []string{"light", "dark"} {
		p := w.open(t, c.url, "es", inScheme(scheme))
		p.await(scheme, "bad_number", "terminó", "enviando", "sin noticias")
		p.expectContrast(scheme)
		backs[text[string](p, "getComputedStyle(document.documentElement).backgroundColor")] = true
	}
	if len(backs) != 2 {
		t.Errorf("both schemes have the background %v", backs)
	}
}

// On a phone nothing is beyond the edge, in any state.
func TestPageOnAPhone(t *testing.T) {
	w := needBrowser(t)
	c := settled(t)
	for _, language := range []string{"es", "en"} {
		p := w.open(t, c.url, language, chromedp.EmulateViewport(360, 740, chromedp.EmulateScale(2)))
		p.await("on a phone", "bad_number")
		if width := text[int](p, "document.documentElement.scrollWidth"); width > 360 {
			t.Errorf("%s: the page is %d pixels wide on a screen of 360", language, width)
		}
		if size := text[float64](p, `Math.min(...[...document.querySelectorAll("main *")].filter((e) => e.innerText)
			.map((e) => parseFloat(getComputedStyle(e).fontSize)))`); size < 12 {
			t.Errorf("%s: some text is %v pixels high, expected at least 12", language, size)
		}
	}
}

func TestPageByKeyboard(t *testing.T) {
	w := needBrowser(t)
	c := settled(t)
	p := w.open(t, c.url, "es")
	p.await("by keyboard", "bad_number")
	p.run(chromedp.KeyEvent(kb.Tab))
	p.awaitText("the first stop", "document.activeElement.innerText", "Ir a las agencias")
	if left := text[float64](p, "document.activeElement.getBoundingClientRect().left"); left < 0 {
		t.Error("the link that has the focus is not to be seen")
	}
	p.run(chromedp.KeyEvent(kb.Enter))
	p.awaitText("where it leads", "document.activeElement.id", "agencies")
}

// node is what a screen reader knows of a part of the page.
type node struct{ role, name string }

func TestPageByScreenReader(t *testing.T) {
	w := needBrowser(t)
	c := settled(t)
	for name, width := range map[string]int64{"2": 1200, "Agencia 2": 360} { // a phone's rows have no header above them
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			p := w.open(t, c.url, "es-AR", chromedp.EmulateViewport(width, 740))
			p.await("by screen reader", "bad_number")
			testScreenReader(t, p, name)
		})
	}
}

// nodes returns what a screen reader knows of the page, and how often.
func (p *tab) nodes() map[node]int {
	p.t.Helper()
	tree, err := chromedp.Run(p.ctx, func(ctx context.Context, t *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	if err != nil {
		p.t.Fatal(err)
	}
	value := func(v *accessibility.Value) string {
		if v == nil {
			return ""
		}
		var text string
		_ = json.Unmarshal([]byte(v.Value), &text) // other values have no name
		return text
	}
	nodes := map[node]int{}
	for _, n := range tree.Nodes {
		if !n.Ignored {
			nodes[node{value(n.Role), value(n.Name)}]++
		}
	}
	return nodes
}

func testScreenReader(t *testing.T, p *tab, agency2 string) {
	nodes := p.nodes()
	for want, n := range map[node]int{
		{"heading", "Sorteo"}:                   1,
		{"progressbar", "Sorteo"}:               1,
		{"table", "Agencias"}:                   1,
		{"columnheader", "Estado"}:              1,
		{"rowheader", agency2}:                  1,
		{"cell", "enviando 1 rechazo"}:          1,
		{"log", "Problemas"}:                    1,
		{"region", "Ahora"}:                     1,
		{"link", "Ir a las agencias"}:           1,
		{"columnheader", "Ganadores"}:           1,
		{"heading", "Lotería Nacional navidad"}: 1,
	} {
		if nodes[want] != n {
			t.Errorf("there are %d of %+v, expected %d", nodes[want], want, n)
		}
	}
	images, statuses := 0, 0
	for n := range nodes {
		switch {
		case n.role == "image" && strings.HasPrefix(n.name, "Apuestas por segundo"):
			images += nodes[n]
		case n.role == "image":
			t.Errorf("an image is called %q", n.name)
		case n.role == "status":
			statuses += nodes[n]
		}
	}
	if images != 4 || statuses != 2 {
		t.Errorf("%d curves have a name, %d parts tell of changes, expected 4 and 2: %v", images, statuses, nodes)
	}
	if lang := text[string](p, "document.documentElement.lang"); lang != "es-AR" {
		t.Errorf("the page says that it is in %q", lang)
	}
}

// A page whose central goes and comes back finds it again by itself.
func TestPageFindsTheCentralAgain(t *testing.T) {
	w := needBrowser(t)
	c := &central{t: t, log: &logBuffer{}}
	begin := func(address string) (stop func()) {
		c.admin = New(Config{Address: address, Agencies: 1, Log: newLog(c.log)})
		return c.run()
	}
	stop := begin("127.0.0.1:0")
	address := c.admin.address.String()
	p := w.open(t, c.url, "es")
	p.await("at first", "en vivo")
	stop()
	p.await("without a central", "se perdió la conexión")
	begin(address)
	p.await("with another one", "en vivo")
}

// Agencies beyond the page's limit are counted, not listed.
func TestPageWithManyAgencies(t *testing.T) {
	w := needBrowser(t)
	c := start(t, maxListed+50)
	p := w.open(t, c.url, "es")
	p.await("many agencies", fmt.Sprintf("0 de %d agencias terminaron", maxListed+50), "Faltan las agencias 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 y 240 más.",
		"y 50 agencias más, en /api/state?from=201")
	var ended []int
	for agency := 1; agency <= maxListed+48; agency++ {
		ended = append(ended, agency)
	}
	if err := c.contest.DrawWithout(ended...); err != nil {
		t.Fatal(err)
	}
	p.await("those that are not listed", fmt.Sprintf("Faltan las agencias %d y %d.", maxListed+49, maxListed+50))
	if n := text[int](p, `document.querySelectorAll("#agencies tbody tr").length`); n != maxListed {
		t.Errorf("%d agencies are listed, expected %d", n, maxListed)
	}
}

// The page shows the ledger that centrals share, and what is wrong with it.
func TestPageOfASharedLedger(t *testing.T) {
	w := needBrowser(t)
	m := &ledgertest.Memory{Lazy: true}
	c := prepare(t, "norte", 3)
	c.tell(LedgerHealth{Problem: "no servers available for connection"})
	p := w.open(t, c.url, "es-AR")
	p.await("while no server is there", "Recuperando el registro de apuestas", "Registro compartido", "Servidor\nninguno", "Copias al día\n–", "Guardado\n–",
		"Registro de apuestas: no servers available for connection")
	p.awaitText("while no server is there", `String(document.getElementById("ledger-age").hidden)`, "true")

	c.tell(healthy())
	c.join(m)
	p.await("a healthy ledger", "Esta central\nnorte", "Servidor\nnats-1", "Líder\nnats-2", "Copias al día\n3 de 3", "No hubo ninguno.")
	p.awaitText("the copies", `document.getElementById("replicas").innerText.replace(/\s+/g, " ")`, "nats-1 al día nats-2 líder nats-3 al día")
	if alarms := text[int](p, `document.querySelectorAll("[data-alarm]").length`); alarms != 0 {
		t.Errorf("%d parts of a healthy ledger are alarming", alarms)
	}

	c.dial().ask(batch(1, 5), codec.TypeSuccess)
	c.ledger.seen(1, 5, "norte")
	p.awaitRow(1, "enviando", "5", "–")
	if state := p.row(1)[1]; state != "enviando" {
		t.Errorf("while all agencies are here, a row says %q", state)
	}
	c.ledger.seen(2, 7000, "sur")
	p.awaitRow(2, "enviando en sur", "7.000", "–")
	p.awaitRow(1, "enviando en norte", "5", "–")
	p.awaitRow(3, "sin noticias", "0", "–")
	p.awaitText("the sum", `document.getElementById("bets").innerText`, "7.005")

	c.tell(sick())
	p.await("a sick ledger", "Servidor\nninguno", "Líder\nninguno", "Copias al día\n1 de 3", "Así estaba hace ",
		"Registro de apuestas: no quorum: 1 of 3 servers answers")
	p.awaitText("the copies", `document.getElementById("replicas").innerText.replace(/\s+/g, " ")`,
		"nats-1 1.234 operaciones atrás nats-2 dañada nats-3 no responde")
	for id, want := range map[string]string{
		"awaited": "Registro de apuestas: no quorum: 1 of 3 servers answers", "ledger-problem": "Registro de apuestas: no quorum: 1 of 3 servers answers",
	} {
		if got := text[string](p, `document.getElementById("`+id+`").innerText`); got != want {
			t.Errorf("%s says %q, want %q", id, got, want)
		}
	}
	if text[bool](p, `document.getElementById("none").checkVisibility()`) {
		t.Error("the page says that there was no problem")
	}
	c.tell(healthy())
	p.await("healthy again", "Copias al día\n3 de 3", "No hubo ninguno.", "Faltan las agencias 1, 2 y 3.")

	few := healthy()
	few.Replicas = []LedgerReplica{{Server: "nats-1"}}
	c.tell(few)
	p.awaitText("another stream", `document.getElementById("replicas").innerText.replace(/\s+/g, " ")`, "nats-1 se pone al día")
	odd := healthy()
	odd.Leader, odd.Limit = "<b>nats</b>", -1
	c.tell(odd)
	p.await("a name with markup, no limit", "Líder\n<b>nats</b>", "Guardado\n5,6 MB\n")

	if err := c.contest.DrawWithout(3); err != nil {
		t.Fatal(err)
	}
	c.dial().ask(finish(1), codec.TypeSuccess)
	c.dial().ask(finish(2), codec.TypeSuccess)
	c.dial().ask(query(1), codec.TypeWinners)
	p.awaitRow(1, "avisada en norte", "5", "1")
	p.awaitRow(2, "terminó en sur, no avisada aquí", "7.000", "0")
	p.expectNothingWrong(c.url)

	folder := start(t, 1)
	p = w.open(t, folder.url, "es")
	p.await("a folder", "0 de 1 agencias terminaron")
	for _, id := range []string{"ledger", "ledger-problem"} {
		if text[bool](p, `document.getElementById("`+id+`").checkVisibility()`) {
			t.Errorf("with a folder the page shows %s", id)
		}
	}
}

// A sick ledger can be read in both schemes, and on a phone.
func TestPageOfASickLedger(t *testing.T) {
	w := needBrowser(t)
	c := prepare(t, "norte", 3)
	c.join(&ledgertest.Memory{Lazy: true})
	c.ledger.seen(1, 8_700_000, "a-central-with-a-long-name.example")
	h := sick()
	h.Replicas[0].Server = "nats-with-a-name-that-is-as-long-as-a-host-name-in-a-cluster.example"
	h.Server, h.Leader = h.Replicas[0].Server, h.Replicas[0].Server
	h.Problem = "nats-with-a-name-that-is-as-long-as-a-host-name-in-a-cluster.example has served a stream with holes: empty its folder"
	c.tell(h)
	expectReadable(t, w, c.url, func(p *tab) { p.await("on a phone", "with holes: empty its folder", "a-central-with") })
}
