package docs_test

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"loteria/docs/markdown"
)

var (
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"`)
	heading    = regexp.MustCompile(`^#{1,6} +(.+?) *#*$`)
	linkText   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	codeSpan   = regexp.MustCompile("`[^`]*`")
	namedPlace = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
)

// links returns a document's link targets, with their lines.
func links(d markdown.Document) map[string]int {
	all := map[string]int{}
	for _, p := range d.Paragraphs() {
		for _, found := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(p.Text, "``"), -1) {
			all[found[1]+found[2]] = p.Line
		}
	}
	return all
}

// anchors returns the places of a document that a link may name, made from its
// headings as on GitHub.
func anchors(d markdown.Document) map[string]bool {
	all := map[string]bool{}
	for _, p := range d.Paragraphs() {
		for _, place := range namedPlace.FindAllStringSubmatch(p.Text, -1) {
			all[place[1]] = true
		}
		found := heading.FindStringSubmatch(p.Text)
		if found == nil {
			continue
		}
		name := anchor(found[1])
		for n := 1; all[name]; n++ { // a repeated name gets a number
			name = fmt.Sprintf("%s-%d", anchor(found[1]), n)
		}
		all[name] = true
	}
	return all
}

func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, linkText.ReplaceAllString(heading, "$1"))
}

func TestAnchor(t *testing.T) {
	for heading, want := range map[string]string{
		"The ledger's files":                 "the-ledgers-files",
		"En castellano: los ocho ejercicios": "en-castellano-los-ocho-ejercicios",
		"1. Generador de Compose":            "1-generador-de-compose",
		"`bets.csv` – and [more](x.md#y)":    "betscsv--and-more",
		"Sincronización_A":                   "sincronización_a",
	} {
		if got := anchor(heading); got != want {
			t.Errorf("%q: %q, want %q", heading, got, want)
		}
	}
}

// Every link leads somewhere. Of those that lead out of the project only the form
// is checked, without the network.
func TestLinks(t *testing.T) {
	all := documents(t)
	places := map[string]map[string]bool{}
	for _, d := range all {
		places[d.Name] = anchors(d)
	}
	for _, d := range all {
		for target, line := range links(d) {
			if problem := follow(d.Name, target, places); problem != "" {
				t.Errorf("%s:%d: the link to %s: %s", d.Name, line, target, problem)
			}
		}
	}
}

// follow returns what is wrong with a link in a document, or nothing.
func follow(from, target string, places map[string]map[string]bool) string {
	to, err := url.Parse(target)
	switch {
	case err != nil:
		return err.Error()
	case to.Scheme == "https" && strings.Contains(to.Host, "."):
		return ""
	case to.IsAbs() || to.Host != "":
		return "of those that lead out of the project only https://host/… is taken"
	}
	name := from
	if to.Path != "" {
		name = path.Join(path.Dir(from), to.Path)
	}
	if strings.HasPrefix(name, "../") || path.IsAbs(to.Path) {
		return "it leads out of the project, and is no address"
	}
	if _, err := os.Stat(filepath.Join(root, name)); err != nil {
		return "there is no such file"
	}
	if to.Fragment == "" {
		return ""
	}
	known, isDocument := places[name]
	switch {
	case !isDocument:
		return "only documents have places to point to"
	case !known[to.Fragment]:
		return "there is no such heading"
	}
	return ""
}

func TestFollow(t *testing.T) {
	places := map[string]map[string]bool{"README.md": {"a": true}, "docs/design.md": {"b": true}}
	for target, right := range map[string]bool{
		"#b": true, "#a": false, "../README.md#a": true, "../README.md#b": false, "../README.md": true,
		"design.md": true, "nothing.md": false, "../../README.md": false, "/README.md": false,
		"page.png": true, "page.png#a": false, "../bench": true, "http://host.example/": false, "https://host.example/x#y": true,
		"https://host": false, "mailto:a@b.example": false, "//host.example/": false, "%zz": false,
	} {
		if got := follow("docs/design.md", target, places); (got == "") != right {
			t.Errorf("%s: %q", target, got)
		}
	}
}

// A document without a link to it is not found.
func TestDocumentsAreLinked(t *testing.T) {
	all := documents(t)
	linked := map[string]bool{"README.md": true, ".data/README.md": true} // shown with their folders' files
	for _, d := range all {
		for target := range links(d) {
			target, _, _ = strings.Cut(target, "#")
			linked[path.Join(path.Dir(d.Name), target)] = true
		}
	}
	for _, d := range all {
		if !linked[d.Name] {
			t.Errorf("no document has a link to %s", d.Name)
		}
	}
}
