package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"loteria/docs/markdown"
)

// others are commands that are not run: of programs that are neither the project's
// nor on every machine, of those that would run all the rest again, or take long; or
// they are only named.
var others = map[string]string{
	"make test":  "runs the others, in TestCommands and beside it",
	"make e2e":   "runs the others, in containers",
	"make chaos": "the tests of make test, for much longer",
	"make fuzz":  "two dozen targets are built anew, some five minutes for one input each; make test gives them their seeds",

	"docker compose":                     "named",
	"server ctl":                         "named",
	"truncate -s":                        "named",
	"chmod 600":                          "named",
	"openssl genpkey":                    "named",
	"ssh -L 8080:127.0.0.1:8080 central": "another machine",
}

// notCommands are blocks of code, by their first lines, that are neither commands
// nor lines of a log.
var notCommands = map[string][]string{
	"README.md":           {"agency-N.csv "},
	"bench/README.md":     {"2 × Intel(R) Xeon"},
	"docs/acta.md":        {"{"},
	"docs/agency-file.md": {"Ana,Ruiz,"},
	"docs/cluster.md":     {"agencies ──►"},
	"docs/protocol.md":    {"00000037 01", "agency   ", "3,María José,"},
}

// quotations returns the commands that tests run as the documents have them, by their
// texts, with the places of the calls of markdown.Quoted, or of markdown.Sessions for
// all that a document shows after prompts.
func quotations(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range files(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		source := read(t, name)
		if !strings.Contains(source, "markdown.") {
			continue
		}
		positions := token.NewFileSet()
		file, err := parser.ParseFile(positions, name, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall || len(call.Args) != 1 {
				return true
			}
			callee, isMember := call.Fun.(*ast.SelectorExpr)
			if !isMember || callee.Sel.Name != "Quoted" && callee.Sel.Name != "Sessions" {
				return true
			}
			where := positions.Position(call.Pos()).String()
			text, err := constant(call.Args[0])
			switch {
			case err != nil:
				t.Errorf("%s: it is marked by no constant of literals: %v", where, err)
			case callee.Sel.Name == "Quoted":
				found[text] = where
			default:
				for _, e := range markdown.Parse(text, read(t, text)).Exchanges() {
					found[e.Text] = where
				}
			}
			return true
		})
	}
	return found
}

// constant returns the value of a literal string, or of a sum of some.
func constant(e ast.Expr) (string, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(e.Value)
	case *ast.BinaryExpr:
		left, err := constant(e.X)
		if err != nil {
			return "", err
		}
		right, err := constant(e.Y)
		return left + right, err
	default:
		return "", fmt.Errorf("it has a %T", e)
	}
}

// A new command needs a test that runs it: otherwise the first reader to try it
// finds the fault.
func TestEveryCommandIsRun(t *testing.T) {
	quoted := quotations(t)
	found := map[string]bool{}
	for _, d := range documents(t) {
		for _, c := range d.Commands() {
			found[c.Text] = true
			if _, isQuoted := quoted[c.Text]; isQuoted {
				continue
			}
			if problem := proof(c.Text); problem != "" {
				t.Errorf("%s: %s: %s", c.Where, c.Text, problem)
			}
		}
	}
	for text := range others {
		if !found[text] {
			t.Errorf("no document has the command %s: take it off the list", text)
		}
	}
	for text, where := range quoted {
		if !found[text] {
			t.Errorf("%s: no document has the command %s", where, text)
		}
	}
	for _, r := range runs {
		if !found[r.command] {
			t.Errorf("no document has the command %s, which TestCommands runs", r.command)
		}
	}
}

// proof returns what is missing to prove that a command works, or nothing.
func proof(text string) string {
	_, isOthers := others[text]
	switch {
	case isOthers, slices.ContainsFunc(runs, func(r run) bool { return r.command == text }):
		return ""
	case strings.Contains(text, "go test "):
		return namesTests(text)
	}
	return "nothing runs it: let TestCommands do it, or a test that marks it by markdown.Quoted"
}

var goTest = regexp.MustCompile(`^(?:cd (\S+) && )?(?:CHAOS=1 )?go test (-run|-bench) '?([^' ]+)'? (?:-v )?\./(\S+)$`)

// namesTests returns what is wrong with a command that runs tests, or nothing: it
// must name existing ones, which make test also runs.
func namesTests(text string) string {
	parts := goTest.FindStringSubmatch(text)
	if parts == nil {
		return "it is not understood which tests it runs"
	}
	folder, kind := filepath.Join(root, parts[1], parts[4]), "Test"
	if parts[2] == "-bench" {
		kind = "Benchmark"
	}
	names, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return err.Error()
	}
	declared := regexp.MustCompile(`(?m)^func (` + kind + `\w*)\(`)
	for alternative := range strings.SplitSeq(parts[3], "|") {
		wanted, matched := regexp.MustCompile(alternative), false
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				return err.Error()
			}
			for _, one := range declared.FindAllStringSubmatch(string(content), -1) {
				matched = matched || wanted.MatchString(one[1])
			}
		}
		if !matched {
			return fmt.Sprintf("%s has no %s that matches %s", folder, kind, alternative)
		}
	}
	return ""
}

func TestNamesTests(t *testing.T) {
	for text, right := range map[string]bool{
		"go test -run TestNamesTests -v ./docs":            true,
		"CHAOS=1 go test -run 'Names|Links' ./docs":        true,
		"CHAOS=1 go test -run 'Names|Nothing' ./docs":      false,
		"go test -run TestNamesTests ./deploy":             false,
		"go test -bench . ./bench":                         true,
		"go test -bench . ./docs":                          false,
		"cd cluster && go test -run TestLotteries ./chaos": true,
		"go test -run TestNamesTests ./nowhere":            false,
		"go test ./...":                                    false,
	} {
		if problem := namesTests(text); (problem == "") != right {
			t.Errorf("%s: %q", text, problem)
		}
	}
}

// Blocks that do not look like commands are known not to be.
func TestBlocksAreKnown(t *testing.T) {
	used := map[string]bool{}
	for _, d := range documents(t) {
		for _, b := range d.Blocks {
			if b.IsCommands() || b.IsSession() || b.IsLog() {
				continue
			}
			first := strings.TrimSpace(b.Lines[0])
			known := slices.IndexFunc(notCommands[d.Name], func(begin string) bool { return strings.HasPrefix(first, begin) })
			if known < 0 {
				t.Errorf("%s:%d: is that a command? If not, add its beginning to notCommands, else its program to docs/markdown: %s",
					d.Name, b.Line, first)
				continue
			}
			used[d.Name+notCommands[d.Name][known]] = true
		}
	}
	for name, begins := range notCommands {
		for _, begin := range begins {
			if !used[name+begin] {
				t.Errorf("%s has no block of code that begins with %q", name, begin)
			}
		}
	}
}

// Make targets that documents name exist.
func TestTargetsAreThere(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("there is no make")
	}
	for _, d := range documents(t) {
		for _, c := range d.Commands() {
			if !strings.HasPrefix(c.Text, "make ") || strings.HasSuffix(c.Text, "test") {
				continue
			}
			dry := exec.Command("sh", "-c", strings.Replace(c.Text, "make ", "make --dry-run ", 1))
			dry.Dir = root
			if output, err := dry.CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %v: %s", c.Where, c.Text, err, output)
			}
		}
	}
}
