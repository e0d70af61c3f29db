package admin

import (
	"os"
	"strings"
	"testing"
)

// The operators' page says of every code what it means, and names every place.
func TestOperatorsPage(t *testing.T) {
	content, err := os.ReadFile("../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for code := range newTally(1).refusals {
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
