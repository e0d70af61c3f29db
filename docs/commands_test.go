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
)

// elsewhere names the tests of make test and make e2e that run commands of the
// documents, or an equivalent. TestCommands runs the others.
var elsewhere = map[string]string{
	// The exercises.
	"bash generar-compose.sh docker-compose-dev.yaml 5":                                             "deploy/e2e/documents_test.go:TestExercises",
	"CLI_MODE=bet NUMERO=7574 DOCUMENTO=30904465 bash generar-compose.sh docker-compose-dev.yaml 2": "deploy/e2e/documents_test.go:TestExercises",
	"docker compose up": "deploy/e2e/documents_test.go:TestExercises",
	"docker compose up -d && docker compose logs server client1 | grep 'action: config'": "deploy/e2e/documents_test.go:TestExercises",
	"docker compose up -d && docker compose logs -f":                                     "deploy/e2e/documents_test.go:TestExercises",
	"docker compose logs server":                                                         "deploy/e2e/documents_test.go:TestExercises",
	"docker compose stop -t 10 && docker compose logs --tail 3 server":                   "deploy/e2e/documents_test.go:TestExercises",
	"sh validar-echo-server.sh":                                                          "deploy/e2e/documents_test.go:TestExercises",
	"docker compose stop -t 10":                                                          "deploy/e2e/documents_test.go:TestDetailsOfTheExercises",
	"docker inspect -f '{{.Name}} {{.State.ExitCode}}' server client1":                   "deploy/e2e/documents_test.go:TestDetailsOfTheExercises",
	"docker cp server:/bets/loteria-nacional/bets.csv .":                                 "deploy/e2e/documents_test.go:TestDetailsOfTheExercises",
	"docker run --rm -v tp0_bets:/bets:ro busybox cat /bets/loteria-nacional/bets.csv":   "deploy/e2e/documents_test.go:TestDetailsOfTheExercises",

	// Containers.
	"docker compose up -d":     "deploy/e2e/documents_test.go:TestExercises",
	"docker compose down":      "deploy/e2e/restart_test.go:TestUnfinishedLotteryGoesOn",
	"make docker-image":        "deploy/e2e/main_test.go:TestMain",
	"make docker-compose-up":   "deploy/e2e/restart_test.go:TestMakeTargets",
	"make docker-compose-down": "deploy/e2e/restart_test.go:TestMakeTargets",
	"make docker-compose-logs": "deploy/e2e/restart_test.go:TestMakeLogs",
	"CLI_MODE=echo bash generar-compose.sh docker-compose-dev.yaml 2":                                                          "deploy/e2e/modes_test.go:TestEcho",
	"docker compose -f docker-compose-dev.yaml -f deploy/observability.yaml up -d":                                             "deploy/e2e/observability_test.go:TestPrometheusSeesTheCentral",
	"docker compose -f deploy/cluster.yaml up":                                                                                 "deploy/e2e/cluster_test.go:TestClusterLosesAServerAndACentral",
	`docker run --rm -v "$PWD/bets:/bets" busybox chown 65532:65532 /bets`:                                                     "deploy/e2e/images_test.go:TestFolderOfTheHost",
	"docker cp server:/bets/loteria-nacional/contest.json backup/ && docker cp server:/bets/loteria-nacional/bets.csv backup/": "deploy/e2e/documents_test.go:TestDetailsOfTheExercises",

	// The service of systemd.
	"install -m 755 bin/server /usr/local/bin/loteria-server":                             "deploy/e2e/systemd_test.go:TestSystemd",
	"install -m 644 deploy/systemd/loteria.service /etc/systemd/system/":                  "deploy/e2e/systemd_test.go:TestSystemd",
	"install -D -m 644 deploy/systemd/loteria.sysusers.conf /etc/sysusers.d/loteria.conf": "deploy/e2e/systemd_test.go:TestSystemd",
	"install -D -m 644 deploy/systemd/loteria.env /etc/loteria/loteria.env":               "deploy/e2e/systemd_test.go:TestSystemd",
	"systemd-sysusers && systemctl daemon-reload && systemctl enable --now loteria":       "deploy/e2e/systemd_test.go:TestSystemd",
	"systemctl stop loteria": "deploy/e2e/systemd_test.go:TestSystemd",

	// Checkouts.
	"rm server client && cp -r deploy/server deploy/client .":     "deploy/checkout_test.go:TestCheckoutWithoutSymbolicLinks",
	"git config core.symlinks true && git checkout server client": "deploy/checkout_test.go:TestCheckoutWithoutSymbolicLinks",

	"go run ./cmd/certs":    "deploy/e2e/tls_test.go:TestTLS",
	"deploy/mount-certs.sh": "deploy/tls_test.go:TestMountCerts",
	"docker compose -f docker-compose-dev.yaml -f deploy/tls.yaml up -d": "deploy/e2e/tls_test.go:TestTLS",

	// A running central.
	"docker compose exec server /server ctl end 3": "deploy/e2e/ctl_test.go:TestCtl",
	"server ctl":        "deploy/e2e/ctl_test.go:TestCtl",
	"server ctl status": "deploy/e2e/ctl_test.go:TestCtl",
	"server ctl end 3":  "deploy/e2e/ctl_test.go:TestCtl",
	"server --ledger nats://… --contest navidad --winners": "cluster/server/import_test.go:TestImportAndBack",

	// The central's own options.
	"bin/server --contest navidad --storage-dir /var/lib/loteria --expected-agencies 5":                                      "deploy/e2e/systemd_test.go:TestSystemd",
	"server --ledger nats://nats1:4222,nats2:4222,nats3:4222 --contest navidad --expected-agencies 5 --central buenos-aires": "cluster/server/start_test.go:TestTwoCentralsDraw",
	"client --server-address a:12345,b:12345":                                                                                "cluster/demo/demo_test.go:TestClusterWithTheCommittedData",
	"server --ledger nats://… --contest navidad --export bets.csv":                                                           "cluster/server/import_test.go:TestImportAndBack",
	"server --contest navidad --storage-dir backup --import nats://…":                                                        "cluster/server/import_test.go:TestImportAndBack",
	"server --ledger nats://… --contest navidad --import backup/navidad":                                                     "cluster/server/import_test.go:TestImportAndBack",
}

// others are commands that are not run: of programs that are neither the project's
// nor on every machine, of those that would run all the rest again, or take long; or
// they are only named.
var others = map[string]string{
	"make test":  "runs the others, in TestCommands and beside it",
	"make e2e":   "runs the others, in containers",
	"make chaos": "the tests of make test, for much longer",
	"make fuzz":  "two dozen targets are built anew, some five minutes for one input each; make test gives them their seeds",

	"docker compose":  "named",
	"docker kill":     "named",
	"truncate -s":     "named",
	"chmod 600":       "named",
	"openssl genpkey": "named",
	"nats …":          "named",
	"nats --server nats://operator:PASSWORD@nats1:4222 …": "NATS' tool",
	"nats server cluster peer-remove OLD":                 "NATS' tool",
	"nats stream backup":                                  "NATS' tool",
	"nats stream edit loteria-navidad --max-bytes 16GiB":  "NATS' tool",
	"nats stream rm":                                      "NATS' tool",
	"nats stream view loteria-navidad":                    "NATS' tool",
	"curl -s http://nats1:8222/varz":                      "NATS' monitoring port",
	"ssh -L 8080:127.0.0.1:8080 central":                  "another machine",
}

// notCommands are blocks of code, by their first lines, that are neither commands
// nor lines of a log.
var notCommands = map[string][]string{
	"README.md":           {"agency-N.csv "},
	"bench/README.md":     {"2 × AMD EPYC", "before ", "flat  flat%"},
	"docs/acta.md":        {"{"},
	"docs/agency-file.md": {"Ana,Ruiz,"},
	"docs/cluster.md":     {"agencies ──►"},
	"docs/protocol.md":    {"00000037 01", "agency   ", "3,María José,"},
}

// quotations returns the commands that tests run as the documents have them, by their
// texts, with the places of the calls of markdown.Quoted.
func quotations(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range files(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		source := read(t, name)
		if !strings.Contains(source, "markdown.Quoted(") {
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
			if !isMember || callee.Sel.Name != "Quoted" {
				return true
			}
			where := positions.Position(call.Pos()).String()
			text, err := constant(call.Args[0])
			if err != nil {
				t.Errorf("%s: the command is no constant of literals: %v", where, err)
			}
			found[text] = where
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
	for _, list := range []map[string]string{elsewhere, others} {
		for text := range list {
			if !found[text] {
				t.Errorf("no document has the command %s: take it off the list", text)
			}
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
	test, isElsewhere := elsewhere[text]
	switch {
	case isOthers, slices.ContainsFunc(runs, func(r run) bool { return r.command == text }):
		return ""
	case isElsewhere:
		file, name, _ := strings.Cut(test, ":")
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return err.Error()
		}
		if !strings.Contains(string(content), "\nfunc "+name+"(") {
			return file + " has no " + name
		}
		return ""
	case strings.Contains(text, "go test "):
		return namesTests(text)
	}
	return "nothing runs it: name the test that does, in docs/commands_test.go, or let TestCommands run it"
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
