package logline

import (
	"strings"
	"testing"
)

func TestParseFormat(t *testing.T) {
	for name, want := range map[string]Format{"text": Text, "TEXT": Text, " Json ": JSON} {
		if got, err := ParseFormat(name); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "xml"} {
		if _, err := ParseFormat(name); err == nil || !strings.Contains(err.Error(), FormatNames) {
			t.Errorf("%q: %v does not name what is allowed", name, err)
		}
	}
}
