package admin

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"loteria/codec"
	"loteria/lottery"
)

// growing returns the states of a lottery of that many agencies at its beginning,
// with more and more bets of each, and drawn.
func growing(t *testing.T, agencies, bets int) map[string]string {
	t.Helper()
	first := start(t, agencies).state()
	states := map[string]string{}
	for name, n := range map[string]int{"nothing": 0, "little": 9, "more": 12_345, "much": bets} {
		state := first
		state.Bets, state.Rate = uint64(n), float64(n/100)
		state.Connections, state.ParkedQueries, state.WaitingBytes, state.WindowFrames = n/1_000_000, n/1_000_000, min(n, state.MaxWaiting), min(n, state.MaxFrames)
		state.Agencies = nil
		for _, a := range first.Agencies {
			a.Bets, a.Rate = uint64(n), float64(n/100)
			if n > 0 {
				a.State = Sending
			}
			state.Agencies = append(state.Agencies, a)
		}
		if name == "much" {
			winners := 999
			state.Phase, state.Winners, state.Finished, state.Awaited = lottery.Drawn, &winners, agencies, nil
			for i := range state.Agencies {
				state.Agencies[i].State, state.Agencies[i].Winners = Told, &winners
			}
		}
		encoded, err := json.Marshal(&state)
		if err != nil {
			t.Fatal(err)
		}
		states[name] = string(encoded)
	}
	return states
}

// places shows a state and returns the left, right and upper edge of each cell and
// figure, and of the whole curve, beside the upper edge of the first.
const places = `((state) => {
	show(state);
	const all = [...document.querySelectorAll("dd, #agencies tr > *, #total")].filter((e) => e.checkVisibility()).map((e) => e.getBoundingClientRect());
	return all.map((r) => [r.left, r.right, r.top - all[0].top].map(Math.round).join(" "));
})`

// However the figures grow, from nothing to the draw, nothing on the page moves.
func TestPageDoesNotJump(t *testing.T) {
	w := needBrowser(t)
	c := show(t, 5, nil)
	for width, bets := range map[int64]int{360: 9_999_999, 800: 1_234_567_890, 1280: 1_234_567_890, 1600: 1_234_567_890} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			states := growing(t, 5, bets)
			p := w.open(t, c.url, "es-AR", chromedp.EmulateViewport(width, 900))
			p.await("the page", "en vivo")
			var want []string
			for _, name := range []string{"nothing", "little", "more", "much"} {
				got := text[[]string](p, places+"("+states[name]+")")
				if want == nil {
					want = got
				}
				if len(got) < 35 || len(got) != len(want) {
					t.Fatalf("%s: %d parts are to be seen, before there were %d", name, len(got), len(want))
				}
				for i := range got {
					if got[i] != want[i] {
						t.Errorf("%s: part %d is at %s, before at %s", name, i, got[i], want[i])
					}
				}
				if right := text[float64](p, "document.documentElement.scrollWidth"); right > float64(width) {
					t.Errorf("%s: the page is %v pixels wide on a screen of %d", name, right, width)
				}
			}
		})
	}
}

// curveOf describes the curve of all agencies: how much of its width it fills, and
// of how many rates it and its axis tell.
const curveOf = `(() => {
	const whole = byId("total").getBoundingClientRect(), line = byId("total").querySelector(".line").getBoundingClientRect();
	return { filled: line.width / whole.width, rates: curves.total.rates.length,
		from: byId("from").innerText, top: byId("top").innerText, name: byId("total").getAttribute("aria-label") };
})()`

// From the first second on a curve has all the width, and its axes say what they
// are.
func TestPageCurveFillsItsWidth(t *testing.T) {
	w := needBrowser(t)
	c := start(t, 1)
	p := w.open(t, c.url, "es-AR")
	p.await("the page", "en vivo")
	now := time.Now()
	for _, test := range []struct {
		seconds int
		bets    int // more than before
	}{{1, 60}, {2, 1}, {30, 7}, {curveLength + 10, 0}} {
		for i := range test.seconds {
			if i == 0 && test.bets > 0 {
				c.dial().ask(batch(1, test.bets), codec.TypeSuccess)
			}
			now = now.Add(time.Second)
			c.tick(now)
		}
		ticks := c.state().Tick
		p.awaitText("the seconds", fmt.Sprint("String(curves.tick >= ", ticks, ")"), "true")
		curve := text[struct {
			Filled          float64
			Rates           int
			From, Top, Name string
		}](p, curveOf)
		if curve.Filled < 0.999 || curve.Filled > 1.001 {
			t.Errorf("after %d seconds the curve has %.3f of its width", ticks, curve.Filled)
		}
		if curve.Rates < min(ticks, curveLength) || curve.From != fmt.Sprintf("hace %d s", curve.Rates) {
			t.Errorf("after %d seconds the curve has %d rates and begins %q", ticks, curve.Rates, curve.From)
		}
		if !regexp.MustCompile(`^\d+ por s$`).MatchString(curve.Top) || !regexp.MustCompile(fmt.Sprintf(`, últimos %d s: ahora \d+, máximo \d+$`, curve.Rates)).MatchString(curve.Name) {
			t.Errorf("the axis reaches %q, the curve is called %q", curve.Top, curve.Name)
		}
	}
}

// The end of an axis is a round number, and never below what it shows.
func TestPageCeiling(t *testing.T) {
	w := needBrowser(t)
	p := w.open(t, show(t, 1, nil).url, "es")
	p.await("the page", "en vivo")
	for rate, want := range map[int]int{0: 10, 1: 10, 10: 10, 11: 15, 16: 20, 99: 100, 100: 100, 101: 150, 2148: 3000, 999_999: 1_000_000, 9_000_001: 10_000_000} {
		if got := text[int](p, fmt.Sprintf("ceiling(%d)", rate)); got != want {
			t.Errorf("of %d it is %d, expected %d", rate, got, want)
		}
	}
}

func motion(value string) step {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: value}},
	})
}

// moving says which parts of the page move.
const moving = `[...new Set(document.getAnimations().map((a) => a.effect.target.id || a.effect.target.className))]`

// A page that is open shows the draw happen, without movement if that is asked for;
// one that is opened later, or again, shows that it is done.
func TestPageOfTheDraw(t *testing.T) {
	w := needBrowser(t)
	states := growing(t, 2, 9_999)
	c := show(t, 2, nil)
	starting, err := json.Marshal(c.state())
	if err != nil {
		t.Fatal(err)
	}
	states["starting"] = string(starting)
	for name, test := range map[string]struct {
		motion string
		states []string
		want   []string
	}{
		"watching":           {"no-preference", []string{"nothing", "much"}, []string{"draw", "number winners"}},
		"calmly":             {"reduce", []string{"nothing", "much"}, nil},
		"later":              {"no-preference", []string{"much"}, nil},
		"a restart after it": {"no-preference", []string{"nothing", "much", "starting", "much"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.open(t, c.url, "es-AR", motion(test.motion))
			p.await("the page", "en vivo")
			see := "delete document.body.dataset.phase" // as if nothing had been seen yet
			for _, state := range test.states {
				see += "; show(" + states[state] + ")"
			}
			if got := text[[]string](p, "(() => { "+see+"; return "+moving+" })()"); !slices.Equal(got, test.want) {
				t.Errorf("%q move, expected %q", got, test.want)
			}
			look := text[struct {
				Said, Title, Weight, Edge, Accent string
			}](p, `(show(`+states["much"]+`), { said: byId("countdown").innerText, title: document.title,
				weight: getComputedStyle(document.querySelector("td.winners")).fontWeight,
				edge: getComputedStyle(byId("draw")).borderColor, accent: getComputedStyle(document.querySelector("main a, a")).color })`)
			if look.Said != "Sorteo hecho: 999 ganadores" || look.Title != "999 ganadores · Lotería Nacional" || look.Weight != "700" || look.Edge != look.Accent {
				t.Errorf("after the draw there is %+v", look)
			}
			p.expectNothingWrong(c.url)
		})
	}
}

// While the draw fades in, its text is legible.
func TestPageOfTheDrawIsReadable(t *testing.T) {
	w := needBrowser(t)
	states := growing(t, 2, 9_999)
	c := show(t, 2, nil)
	for _, scheme := range []string{"light", "dark"} {
		p := w.open(t, c.url, "es-AR", call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "no-preference"},
		}}))
		p.await(scheme, "en vivo")
		least := text[struct {
			Ratio float64
			Text  string
			Moves int
		}](p, `(() => {
			delete document.body.dataset.phase;
			show(`+states["nothing"]+`);
			show(`+states["much"]+`);
			const all = document.getAnimations();
			all.forEach((a) => { a.pause(); a.currentTime = 0; });
			return { ...`+contrast+`, moves: all.length };
		})()`)
		if least.Ratio < 4.5 || least.Moves != 3 {
			t.Errorf("%s: %q has a contrast of %.1f, expected at least 4.5; %d parts move, expected 3", scheme, least.Text, least.Ratio, least.Moves)
		}
	}
}

// With many agencies the table's header stays in sight, each agency is one line,
// and the problems below the last one are one step away.
func TestPageScrolls(t *testing.T) {
	w := needBrowser(t)
	c := start(t, 100)
	p := w.open(t, c.url, "es-AR", chromedp.EmulateViewport(1280, 800))
	p.await("without a problem", "No hubo ninguno.")
	if text[bool](p, `byId("to-problems").checkVisibility()`) {
		t.Error("the page leads to problems that there are not")
	}
	c.dial().ask(badBatch(1, 1), codec.TypeError)
	p.await("a problem", "1 problema\n")
	table := text[struct{ Top, Row float64 }](p, `(() => {
		byId("agencies").rows[90].scrollIntoView({ block: "center" });
		return { top: byId("agencies").tHead.rows[0].cells[0].getBoundingClientRect().top, row: byId("agencies").rows[50].getBoundingClientRect().height };
	})()`)
	if table.Top < -1 || table.Top > 1 {
		t.Errorf("beside agency 90 the table's header is at %v", table.Top)
	}
	if table.Row > 28 {
		t.Errorf("an agency is %v pixels high", table.Row)
	}
	p.run(chromedp.Click(chromedp.CSS("#to-problems")))
	p.awaitText("where the link leads", `String(byId("problems").getBoundingClientRect().top < innerHeight)`, "true")
	p.expectNothingWrong(c.url)

	phone := w.open(t, c.url, "es-AR", chromedp.EmulateViewport(360, 740))
	phone.await("on a phone", "1 problema\n")
	if width := text[int](phone, "document.documentElement.scrollWidth"); width > 360 {
		t.Errorf("the page is %d pixels wide on a screen of 360", width)
	}
}
