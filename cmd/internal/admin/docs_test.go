package admin

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"loteria/lottery/ledgertest"
)

// The operators' page explains every code, and names every path.
func TestOperatorsPage(t *testing.T) {
	content, err := os.ReadFile("../../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for code := range newCounters(1).refusals {
		if strings.Count(page, "\n| `"+string(code)+"` |") != 1 {
			t.Errorf("the operators' page has no row for the code %s", code)
		}
	}
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/api/state", "/debug/pprof/"} {
		if !strings.Contains(page, "\n| `"+path+"` |") {
			t.Errorf("the operators' page has no row for %s", path)
		}
	}
}

// It also says what each metric of a ledger in NATS is.
func TestOperatorsPageHasTheLedgersMetrics(t *testing.T) {
	content, err := os.ReadFile("../../../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "| `loteria_ledger_") {
			for _, name := range metricName.FindAllString(line[:strings.Index(line, " | ")], -1) {
				documented[name] = true
			}
		}
	}
	c := prepare(t, "a", 1)
	c.join(&ledgertest.Memory{Lazy: true})
	_, _, body := c.get("/metrics")
	for line := range strings.Lines(body) {
		if words := strings.Fields(line); words[1] == "TYPE" && strings.HasPrefix(words[2], "loteria_ledger_") {
			if !documented[words[2]] {
				t.Errorf("the operators' page says nothing of %s", words[2])
			}
			delete(documented, words[2])
		}
	}
	if len(documented) > 0 {
		t.Errorf("the operators' page has metrics that there are not: %v", documented)
	}
}

var metricName = regexp.MustCompile(`loteria_\w+`)
