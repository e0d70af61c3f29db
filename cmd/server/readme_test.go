package main

import (
	"os"
	"strings"
	"testing"
)

// README's table of settings is the one that the command has.
func TestReadmeHasTheSettings(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(table(new(config)).Markdown()) {
		if !strings.Contains(string(readme), row) {
			t.Errorf("README.md has no row\n%s", row)
		}
	}
}
