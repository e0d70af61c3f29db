// Package settingstest compares the document of the settings with the commands.
package settingstest

import (
	"flag"
	"os"
	"strings"
	"testing"

	"loteria/cmd/internal/settings"
)

var update = flag.Bool("update", false, "write the settings into docs/configuration.md")

// Document fails the test unless the table of a command's settings in the file at
// path is the one that the command has. The table stands between two comments that
// name the command. With -update it is written.
func Document(t *testing.T, path, command string, s *settings.Set) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(content), "<!-- settings of "+command+": TestConfigurationDocument -update writes them -->\n")
	table, after, ends := strings.Cut(rest, "<!-- end of the settings of "+command+" -->\n")
	if !begins || !ends {
		t.Fatalf("%s has no settings of %s between two comments", path, command)
	}
	if table == s.Markdown() {
		return
	}
	if !*update {
		t.Fatalf("%s does not have the settings of %s as they are: run this test with -update", path, command)
	}
	document := strings.TrimSuffix(string(content), rest) + s.Markdown() + strings.TrimPrefix(rest, table)
	if !strings.HasPrefix(document, before) || !strings.HasSuffix(document, after) {
		t.Fatal("the document would lose something")
	}
	if err := os.WriteFile(path, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
}
