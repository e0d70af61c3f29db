package docs_test

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/docs/markdown"
	"loteria/internal/process/processtest"
)

// patience bounds all commands together; it only ends what hangs.
const patience = 15 * time.Minute

// run is a command of the documents that is cheap enough to run as written.
type run struct {
	command string
	try     func(p *place, command string)
}

// runs are run in this order, in one folder: each finds what those before it left.
var runs = []run{
	{"make help", prints(`(?m)^run +a whole lottery`, `(?m)^test +every test`)},
	{"make build", leaves("bin/server", "bin/client")},
	{"EXPECTED_AGENCIES=1 ./bin/server", (*place).serve},
	{"CLI_ID=1 CLI_SERVER_ADDRESS=localhost:12345 ./bin/client", (*place).ask},
	{"CLI_ID=1 CLI_SERVER_ADDRESS=localhost:12345 CLI_MODE=winners ./bin/client --winners", (*place).ask},
	{"./bin/server --contest otra", (*place).serveAnother},
	{"CLI_MODE=bet NOMBRE=Ana APELLIDO=Paz DOCUMENTO=30904465 NACIMIENTO=1999-03-17 NUMERO=7574 ./bin/client", (*place).bet},
	{"sha256sum acta.json", (*place).digest},
	{"openssl genpkey -algorithm ed25519 -out acta-key.pem", has("openssl", leaves("acta-key.pem"))},
	{"openssl pkey -in acta-key.pem -pubout -out acta-public.pem", has("openssl", leaves("acta-public.pem"))},
	{"openssl pkey -in acta-key.pem -pubout", has("openssl", prints(`-----BEGIN PUBLIC KEY-----`))},
	{"server --version", prints(`^server \S+ (\(.*\) )?go1\.\S+ linux/`)},
	{"make run", prints(`total +78697 +790 +\S+ +10\n`, `bets\.csv has 78697 rows, each agency's as many as it sent\.`)},
	{"make tls", prints(`total +78697 +790 +\S+ +10\n`, `bets\.csv has 78697 rows, each agency's as many as it sent\.`)},
	{"make run DATA=folder", (*place).runWithOtherData},
	{"make watch", (*place).watch},
	{"make cluster", prints(`total +78697 +790 +\S+ +10\n`, `export\.csv has 78697 rows, each agency's those of its file, in their order\.`)},
	{"go test ./internal/dataset -update", (*place).makeTheData},

	// A central with five agencies, of which the third does not come.
	{"make build && go build -o bin/ ./cmd/certs", leaves("bin/server", "bin/client", "bin/certs")},
	{"bin/certs --agencies 5 --central-name central.example,localhost", leaves("certs/central.pem", "certs/agency-5-key.pem")},
	{"openssl rand -base64 24 | install -m 640 -g loteria /dev/stdin /etc/loteria/admin-token", has("openssl", (*place).makeToken)},
	{"bin/server --contest navidad --storage-dir /var/lib/loteria --expected-agencies 5 --admin 0.0.0.0:8080 " +
		"--admin-token-file /etc/loteria/admin-token --admin-tls --tls-cert certs/central.pem --tls-key certs/central-key.pem", (*place).serveForOperators},
	{`curl --cacert certs/authority.pem -H "Authorization: Bearer $(cat /etc/loteria/admin-token)" https://central.example:8080/metrics`,
		has("curl", prints(`(?m)^loteria_bets_total\{agency="2"\} \d+$`))},
	{"bin/server ctl --contest navidad --storage-dir /var/lib/loteria status", prints("phase +betting", `the draw waits for\n.*\n +3 +0 `)},
	{"server ctl deadline '2026-12-24 18:00'", prints(`deadline: .*; before, there was none`)},
	{"sudo -u loteria loteria-server ctl --contest navidad --storage-dir /var/lib/loteria end 3", prints(`agency 3: its betting is ended, with 0 bets\nthe draw is made`)},
	{`until [ "$(bin/server ctl status --json | jq -r .phase)" = drawn ]; do sleep 10; done`, has("jq", prints(`^$`))},
	{"bin/server --contest navidad --winners                     >winners.csv", (*place).tellWinners},
	{"bin/server --contest navidad --export bets.csv", prints("nothing is damaged")},
	{"bin/server --contest navidad --export - --format json | jq -r 'select(.number == 7574) | .document'", has("jq", prints(`(?m)^\d{7,8}$`))},
	{"bin/server --check", prints("nothing is damaged")},
	{"server --check", prints("nothing is damaged")},
	{"bin/server --verify FOLDER --acta-public-key acta-public.pem", has("openssl", prints(`signature: by the expected key .*\nproved: `))},
	{"server ctl drain", (*place).drain},
	{"server --draw-without 3", (*place).drawWithout},
	{"go run ./bench/load --help", prints(`--connections int`)},
	{"go run ./bench/load --address central.example:12346 --tls certs --agencies 5 --window 64 --duration 5s", (*place).loadOverTLS},

	{"CONTEST=loteria-nacional bash generar-compose.sh docker-compose-dev.yaml 5", (*place).generateTheCommitted},
	{"chmod -R a+rX server/ client/ .data", leaves("server/config.ini", "client/config.yaml", ".data/datasets.zip")},
	{"iconv -f UTF-16 -t UTF-8", has("iconv", translates("\xff\xfe\xf1\x00", "ñ"))},
	{"iconv -f WINDOWS-1252 -t UTF-8", has("iconv", translates("\xf1", "ñ"))},
	{`tr '\r' '\n'`, translates("a\rb", "a\nb")},
}

// measurements are run with settings that make them short.
var measurements = []run{
	{markdown.Quoted("make bench"), (*place).measure},
	{markdown.Quoted("bin/goals --only tls"), (*place).measureOverTLS},
	{markdown.Quoted("bin/peers --bin bin --folder run --only central,redis --loads 5:1"), (*place).measurePeers},
	{markdown.Quoted("make bench-cluster BEFORE=d2c9e4c PROFILES=run/profiles"), (*place).measureBefore},
	{markdown.Quoted("bin/peers --bin bin --folder run --only central,before --before bin/before"), (*place).measurePeers},
	{markdown.Quoted("go tool pprof -top -cum bin/server run/profiles/coalesced.pprof"), prints(`flat% .*cum%`)},
	{markdown.Quoted("go test -run '^$' -bench 'Central$/window=128' -benchtime 300000x -cpuprofile run/cpu.pprof ./bench"), (*place).profile},
}

func TestCommands(t *testing.T) { play(t, runs) }

func TestMeasurements(t *testing.T) {
	if testing.Short() {
		t.Skip("they take a minute or two")
	}
	play(t, measurements)
}

// play runs commands in a copy of the project.
func play(t *testing.T, runs []run) {
	t.Helper()
	for _, program := range []string{"make", "bash", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s", program)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	p := &place{T: t, whole: t, ctx: ctx, dir: t.TempDir()}
	p.copyProject()
	defer func() { p.stop(); p.stopAgencies() }()
	for _, r := range runs {
		t.Run(r.command, func(t *testing.T) {
			p.T = t
			r.try(p, r.command)
		})
		p.T = t
		if t.Failed() {
			return // the next ones depend on this
		}
	}
}

// place is a copy of the project, in which commands are run.
type place struct {
	*testing.T                 // that of the command
	whole      *testing.T      // that of all commands
	ctx        context.Context // ends what hangs
	dir        string
	// settings are variables of the environment beside the usual ones.
	settings []string
	central  *processtest.Process // the last one, or nil
	address  string               // of that central
	page     string               // of that central: host and port
	said     string               // log of the central before it
	agencies []*exec.Cmd          // those that wait for the draw
}

// Cleanup lets what a command has started be there for the next ones.
func (p *place) Cleanup(f func()) { p.whole.Cleanup(f) }

// here returns a command with what this place has instead of the reader's machines,
// folders and accounts, and a deadline that is to come.
func (p *place) here(command string) string {
	return strings.NewReplacer(
		"localhost:12345", p.address,
		"central.example:12346", p.address,
		"central.example:8080", p.page,
		"0.0.0.0:8080", "127.0.0.1:0",
		"/var/lib/loteria", "storage",
		"/etc/loteria", "etc",
		"FOLDER", "storage/navidad",
		"-g loteria", fmt.Sprint("-g ", os.Getgid()),
		"sudo -u loteria ", "",
		"2026-12-24 18:00", time.Now().AddDate(0, 0, 2).Format("2006-01-02 15:04"),
	).Replace(command)
}

// copyProject copies the project's files.
func (p *place) copyProject() {
	p.Helper()
	for _, name := range files(p.T) {
		from, to := filepath.Join(root, name), filepath.Join(p.dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			p.Fatal(err)
		}
		info, err := os.Lstat(from)
		if err != nil {
			p.Fatal(err)
		}
		if info.Mode()&os.ModeSymlink != 0 {
			target, err := os.Readlink(from)
			if err == nil {
				err = os.Symlink(target, to)
			}
			if err != nil {
				p.Fatal(err)
			}
			continue
		}
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, content, info.Mode().Perm())
		}
		if err != nil {
			p.Fatal(err)
		}
	}
}

// shell returns a command as it is here, in a process group of its own. The settings
// are those of README, except for ports, which may be in use. The programs are where
// the shell finds them.
func (p *place) shell(command string) *exec.Cmd {
	p.Helper()
	shell := exec.CommandContext(p.ctx, "sh", "-c", p.here(command))
	shell.Dir = p.dir
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); !isSetting.MatchString(name) {
			shell.Env = append(shell.Env, variable)
		}
	}
	shell.Env = append(shell.Env, "SERVER_PORT=0", "ADMIN_ADDRESS=off", "CLI_DATA_DIR=.data", "PATH="+filepath.Join(p.dir, "bin")+":"+os.Getenv("PATH"))
	shell.Env = append(shell.Env, p.settings...)
	return shell
}

// isSetting matches variables that change what the programs and make do.
var isSetting = regexp.MustCompile(`^(CLI_.*|SERVER_.*|CONTEST|EXPECTED_AGENCIES|STORAGE_DIR|DATA|ADMIN.*|` +
	`NOMBRE|APELLIDO|DOCUMENTO|NACIMIENTO|NUMERO|LOGGING_LEVEL|MAKE.*|MFLAGS|SHORT|COUNT|BEFORE|PROFILES)$`)

// output runs a command, which must succeed.
func (p *place) output(command string) string {
	p.Helper()
	output, err := p.shell(command).CombinedOutput()
	if err != nil {
		p.Fatalf("%s: %v\n%s", command, err, end(string(output)))
	}
	return string(output)
}

func (p *place) expect(output string, patterns ...string) {
	p.Helper()
	for _, pattern := range patterns {
		if !regexp.MustCompile(pattern).MatchString(output) {
			p.Errorf("there is nothing like %s in\n%s", pattern, end(output))
		}
	}
}

// end returns the last bytes of an output.
func end(output string) string {
	const most = 2000
	return output[max(0, len(output)-most):]
}

// prints runs a command that prints these patterns, and ends.
func prints(patterns ...string) func(*place, string) {
	return func(p *place, command string) {
		p.expect(p.output(command), patterns...)
	}
}

// leaves runs a command that must leave these files, readable.
func leaves(names ...string) func(*place, string) {
	return func(p *place, command string) {
		p.output(command)
		for _, name := range names {
			if _, err := os.ReadFile(filepath.Join(p.dir, name)); err != nil {
				p.Error(err)
			}
		}
	}
}

// has skips a command on a machine without the program.
func has(program string, try func(*place, string)) func(*place, string) {
	return func(p *place, command string) {
		if _, err := exec.LookPath(program); err != nil {
			p.Skipf("there is no %s", program)
		}
		try(p, command)
	}
}

// translates feeds from to a command, which must print to.
func translates(from, to string) func(*place, string) {
	return func(p *place, command string) {
		shell := p.shell(command)
		shell.Stdin = strings.NewReader(from)
		var problems strings.Builder
		shell.Stderr = &problems
		output, err := shell.Output()
		if strings.Contains(problems.String(), "not supported") { // a minimal system has few encodings
			p.Skip(problems.String())
		}
		if err != nil || string(output) != to {
			p.Errorf("of %q it makes %q, %v: %s", from, output, err, &problems)
		}
	}
}

var listens = regexp.MustCompile(`:(\d+)(?: |$)`)

// serve starts the central, which stays.
func (p *place) serve(command string) {
	p.Helper()
	p.central = processtest.Start(p, p.shell("exec env "+command), nil) // no shell between it and Ctrl-C
	line := p.central.Await("action: listen | result: success")
	_, address, _ := strings.Cut(line, "address: ")
	found := listens.FindStringSubmatch(address)
	if found == nil {
		p.Fatalf("it does not say where it listens: %s", line)
	}
	p.address = "localhost:" + found[1]
}

// log returns what the central has said.
func (p *place) log() string { return strings.Join(p.central.Lines(), "\n") + "\n" }

// hasPage matches what the central says before it takes agencies.
var hasPage = regexp.MustCompile(`action: admin_listen \| result: success \| scheme: https \| .*:(\d+)\n`)

// stop is Ctrl-C in the central's terminal.
func (p *place) stop() {
	p.Helper()
	if p.central != nil {
		p.central.Signal(os.Interrupt)
		p.awaitEnd()
	}
}

// awaitEnd waits until the central has ended, as it should.
func (p *place) awaitEnd() {
	p.Helper()
	if code := p.central.End(); code != 0 {
		p.Errorf("the central ends with %d: %v", code, p.central)
	}
}

// ask runs the agency, which gets two winners.
func (p *place) ask(command string) {
	output := p.output(command)
	p.expect(output, `action: consulta_ganadores \| result: success \| cant_ganadores: 2`)
	for _, name := range []string{"bets.csv", "contest.json"} {
		if _, err := os.Stat(filepath.Join(p.dir, name)); err != nil {
			p.Error(err)
		}
	}
}

// serveAnother begins another lottery, of one agency.
func (p *place) serveAnother(command string) {
	p.central.Await("action: acta | result: success")
	p.stop()
	p.said = p.log()
	p.expect(p.said, `action: sorteo \| result: success`, `action: exit \| result: success`)
	p.serve("EXPECTED_AGENCIES=1 " + command)
}

// digest compares the acta's digest with what the central logged.
func (p *place) digest(command string) {
	digest, _, _ := strings.Cut(p.output(command), " ")
	p.expect(p.said, `action: acta \| result: success \| .*sha256: `+digest)
}

// bet sends one winning bet several times.
func (p *place) bet(command string) {
	output := p.output("CLI_ID=1 CLI_SERVER_ADDRESS=" + p.address + " " + command)
	p.expect(output, `action: apuesta_enviada \| result: success \| dni: 30904465 \| numero: 7574`,
		`action: consulta_ganadores \| result: success \| cant_ganadores: 5`)
	p.stop()
	p.expect(p.log(), `action: apuesta_almacenada \| result: success \| dni: 30904465 \| numero: 7574`)
}

func (p *place) runWithOtherData(command string) {
	folder := filepath.Join(p.dir, "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		p.Fatal(err)
	}
	for agency := 1; agency <= 5; agency++ {
		name := filepath.Join(folder, fmt.Sprintf("agency-%d.csv", agency))
		if err := os.WriteFile(name, []byte("Ana,Ruiz,12345678,2000-01-02,7574\n"), 0o644); err != nil {
			p.Fatal(err)
		}
	}
	p.expect(p.output(command), `total +5 +5 +\S+ +5\n`)
}

// generateTheCommitted writes the Compose file as it is committed.
func (p *place) generateTheCommitted(command string) {
	p.expect(p.output(command), `^Se escribió docker-compose-dev\.yaml: servidor y 5 agencias, sorteo loteria-nacional, modo batch\.\n$`)
	written, err := os.ReadFile(filepath.Join(p.dir, "docker-compose-dev.yaml"))
	if err != nil {
		p.Fatal(err)
	}
	if string(written) != read(p.T, "docker-compose-dev.yaml") {
		p.Error("it is another one than the committed")
	}
}

// watch looks at the page of a lottery that is soon over, and then presses Ctrl-C.
func (p *place) watch(command string) {
	defer p.set("ADMIN=127.0.0.1:0", "DATA=folder")()
	shell := processtest.Start(p, p.shell(command), nil)
	stays := regexp.MustCompile(`the central stays up, .*, its page is (http://\S+/), until Ctrl-C`)
	if page := stays.FindStringSubmatch(shell.Await("the central stays up")); page == nil {
		p.Errorf("it does not say where its page is: %v", shell)
	} else {
		p.look(page[1])
	}
	if err := syscall.Kill(-shell.PID(), syscall.SIGINT); err != nil { // with what make has started
		p.Error(err)
	}
	shell.End() // make says of itself that it was interrupted
	p.expect(strings.Join(shell.Lines(), "\n"), `total +5 +5 +\S+ +5\n`, `bets\.csv has 5 rows, each agency's as many as it sent\.`)
}

// look gets a page.
func (p *place) look(url string) {
	p.Helper()
	request, err := http.NewRequestWithContext(p.ctx, http.MethodGet, url, nil)
	if err != nil {
		p.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.Error(err)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(text), "<html") {
		p.Errorf("the page is %s, %v\n%s", response.Status, err, end(string(text)))
	}
}

// set adds settings until the returned function is called.
func (p *place) set(settings ...string) (restore func()) {
	before := p.settings
	p.settings = append(slices.Clone(before), settings...)
	return func() { p.settings = before }
}

// makeTheData makes the data set as it is committed. Another version of Go may
// compress it differently.
func (p *place) makeTheData(command string) {
	const name = ".data/datasets.zip"
	if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
		p.Fatal(err)
	}
	p.output(command)
	made, committed := entries(p.T, filepath.Join(p.dir, name)), entries(p.T, filepath.Join(root, name))
	if !slices.Equal(made, committed) {
		p.Errorf("it has made %v, and committed are %v", made, committed)
	}
}

// entries says what a zip has.
func entries(t *testing.T, name string) (all []string) {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		all = append(all, fmt.Sprintf("%s: %d bytes, CRC %08x", f.Name, f.UncompressedSize64, f.CRC32))
	}
	return all
}

// makeToken makes the token of the admin port, for a group of this account.
func (p *place) makeToken(command string) {
	if err := os.MkdirAll(filepath.Join(p.dir, "etc"), 0o755); err != nil {
		p.Fatal(err)
	}
	p.output(command)
	info, err := os.Stat(filepath.Join(p.dir, "etc/admin-token"))
	if err != nil || info.Mode() != 0o640 || info.Size() < 16 {
		p.Errorf("it makes %v, %v", info, err)
	}
}

// serveForOperators starts the central with four of five agencies, which have
// finished. What openssl has made is used if there is openssl.
func (p *place) serveForOperators(command string) {
	for _, name := range []string{"bets.csv", "contest.json", "acta.json"} { // of the lottery before
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
			p.Error(err)
		}
	}
	if err := os.Symlink("server", filepath.Join(p.dir, "bin/loteria-server")); err != nil {
		p.Error(err)
	}
	p.set("CONTEST=navidad", "STORAGE_DIR=storage", "EXPECTED_AGENCIES=5")
	if _, err := exec.LookPath("openssl"); err == nil {
		p.set("ACTA_KEY=acta-key.pem")
	} else if err := os.MkdirAll(filepath.Join(p.dir, "etc"), 0o755); err != nil {
		p.Fatal(err)
	} else if err := os.WriteFile(filepath.Join(p.dir, "etc/admin-token"), []byte("without-openssl-there-is-this\n"), 0o600); err != nil {
		p.Fatal(err)
	}
	p.serve(command)
	found := hasPage.FindStringSubmatch(p.log())
	if found == nil {
		p.Fatalf("it does not say where its page is:\n%s", p.log())
	}
	p.page = "localhost:" + found[1]
	p.startAgencies(1, 2, 4, 5)
}

// startAgencies starts agencies, which finish, and wait for the draw.
func (p *place) startAgencies(ids ...int) {
	p.Helper()
	for _, id := range ids {
		agency := p.shell(fmt.Sprintf("exec bin/client --id %d --server-address %s", id, p.address))
		if err := agency.Start(); err != nil {
			p.Fatal(err)
		}
		p.agencies = append(p.agencies, agency)
	}
	for range ids {
		p.central.Await("action: agencia_finalizada | result: success")
	}
}

// stopAgencies ends those that still run.
func (p *place) stopAgencies() {
	for _, agency := range p.agencies {
		_ = agency.Process.Signal(syscall.SIGTERM)
		_ = agency.Wait()
	}
	p.agencies = nil
}

// tellWinners runs a command that tells the winners that the agencies were told.
func (p *place) tellWinners(command string) {
	for _, agency := range p.agencies {
		if err := agency.Wait(); err != nil {
			p.Errorf("%v: %v", agency.Args, err)
		}
	}
	p.agencies = nil
	p.central.Await("action: acta | result: success") // the next commands read it
	p.output(command)
	told, err := os.ReadFile(filepath.Join(p.dir, "winners.csv"))
	if err != nil {
		p.Fatal(err)
	}
	p.expect(string(told), `^agency,document,row\n(\d+,\d+,\d+\n)+$`)
}

// drain stops the central.
func (p *place) drain(command string) {
	p.expect(p.output(command), `the central has ended, with exit code 0`)
	p.awaitEnd()
}

// drawWithout draws, of three agencies, without the third.
func (p *place) drawWithout(command string) {
	defer p.set("CONTEST=reyes", "EXPECTED_AGENCIES=3")()
	p.serve("bin/server")
	p.startAgencies(1, 2)
	p.stop()
	p.stopAgencies()
	p.serve(command)
	if draws := "action: sorteo | result: success"; p.central.Count(draws) == 0 {
		p.central.Await(draws)
	}
	p.stop()
	p.expect(p.log(), `action: end_betting \| result: success \| missing: \[3\]`)
}

// loadOverTLS measures a central with certificates, for a shorter time.
func (p *place) loadOverTLS(command string) {
	defer p.set("CONTEST=load")()
	p.serve("bin/server --port off --tls-port 0 --tls-cert certs/central.pem --tls-key certs/central-key.pem --tls-client-ca certs/authority.pem")
	p.expect(p.output(strings.Replace(command, "--duration 5s", "--duration 200ms", 1)), `over 5 connections`)
	p.stop()
}

// measured matches a row of a table of goals.
const measured = `\| (met|missed by .*|there is no Chromium) \|\n`

// measure measures with as little as makes all tables.
func (p *place) measure(command string) {
	defer p.set("SHORT=1")()
	p.expect(p.output(command), `Benchmark\S+\s+1\t`, `the central, with only errors in its log`, `What is measured with many`, measured, `central on a folder`)
}

// measureOverTLS measures a few agencies for a moment.
func (p *place) measureOverTLS(command string) {
	p.expect(p.output(command+" --rounds 1 --duration 50ms --connected 100"), `over TLS, to those without`, measured)
}

// measurePeers measures some peers for a moment; Redis need not be there.
func (p *place) measurePeers(command string) {
	p.expect(p.output(command+" --rounds 1 --duration 50ms"), `(?m)^\| the central \| synced, and logged \| \d`)
}

// measureBefore compares with the only commit that there is here.
func (p *place) measureBefore(command string) {
	defer p.set("SHORT=1")()
	p.output("git init -q && git add -A && git -c user.name=me -c user.email=me@example -c commit.gpgsign=false commit -qm all")
	p.expect(p.output(strings.Replace(command, "d2c9e4c", "HEAD", 1)), `growth of the image`, `MB, before`, measured)
}

// profile takes a profile of few batches.
func (p *place) profile(command string) {
	p.expect(p.output(strings.Replace(command, "300000x", "300x", 1)), `(?m)^BenchmarkCentral/window=128\S*\s+300\t`)
	if _, err := os.Stat(filepath.Join(p.dir, "run/cpu.pprof")); err != nil {
		p.Error(err)
	}
}
