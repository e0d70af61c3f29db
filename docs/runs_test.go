package docs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
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
	{"server --version", prints(`^server \S+ (\(.*\) )?go1\.\S+ linux/`)},
	{"make run", prints(`total +78697 +790 +\S+ +10\n`, `bets\.csv has 78697 rows, each agency's as many as it sent\.`)},
	{"make tls", prints(`total +78697 +790 +\S+ +10\n`, `bets\.csv has 78697 rows, each agency's as many as it sent\.`)},
	{"make run DATA=folder", (*place).runWithOtherData},
	{"CONTEST=loteria-nacional bash generar-compose.sh docker-compose-dev.yaml 5", (*place).generateTheCommitted},
	{"chmod -R a+rX server/ client/ .data", leaves("server/config.ini", "client/config.yaml", ".data/datasets.zip")},
	{"iconv -f UTF-16 -t UTF-8", has("iconv", translates("\xff\xfe\xf1\x00", "ñ"))},
	{"iconv -f WINDOWS-1252 -t UTF-8", has("iconv", translates("\xf1", "ñ"))},
	{`tr '\r' '\n'`, translates("a\rb", "a\nb")},
}

func TestCommands(t *testing.T) {
	for _, program := range []string{"make", "bash", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s", program)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	p := &place{T: t, ctx: ctx, dir: t.TempDir()}
	p.copyProject()
	t.Cleanup(func() { p.stop() })
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
	*testing.T
	ctx     context.Context // ends what hangs
	dir     string
	central *exec.Cmd // the running one, or nil
	log     *logs     // of that central
	address string    // of that central
	said    string    // log of the central before it
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

// shell returns a command as written, in a process group of its own. The settings
// are those of README, except for ports, which may be in use.
func (p *place) shell(command string) *exec.Cmd {
	p.Helper()
	shell := exec.CommandContext(p.ctx, "sh", "-c", command)
	shell.Dir = p.dir
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); !isSetting.MatchString(name) {
			shell.Env = append(shell.Env, variable)
		}
	}
	shell.Env = append(shell.Env, "SERVER_PORT=0", "ADMIN_ADDRESS=off", "CLI_DATA_DIR=.data")
	return shell
}

// isSetting matches variables that change what the programs and make do.
var isSetting = regexp.MustCompile(`^(CLI_.*|SERVER_.*|CONTEST|EXPECTED_AGENCIES|STORAGE_DIR|DATA|ADMIN.*|NOMBRE|APELLIDO|DOCUMENTO|NACIMIENTO|NUMERO|LOGGING_LEVEL|MAKE.*|MFLAGS)$`)

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
		if strings.HasPrefix(command, "server ") {
			command = "bin/" + command
		}
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

// logs are the lines that a program writes.
type logs struct {
	lines chan string // closed at their end
	seen  strings.Builder
}

// await returns the next line that has the text.
func (p *place) await(text string) string {
	p.Helper()
	for {
		select {
		case line, more := <-p.log.lines:
			if !more {
				p.Fatalf("the central has ended, and did not say %q:\n%s", text, end(p.log.seen.String()))
			}
			fmt.Fprintln(&p.log.seen, line)
			if strings.Contains(line, text) {
				return line
			}
		case <-p.ctx.Done():
			p.Fatalf("the central does not say %q:\n%s", text, end(p.log.seen.String()))
		}
	}
}

var listens = regexp.MustCompile(`:(\d+)(?: |$)`)

// serve starts the central, which stays.
func (p *place) serve(command string) {
	central := p.shell("exec env " + command) // no shell between it and Ctrl-C
	output, err := central.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := central.Start(); err != nil {
		p.Fatal(err)
	}
	p.central, p.log = central, &logs{lines: make(chan string, 1<<16)}
	go func(lines chan<- string) {
		defer close(lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}(p.log.lines)
	line := p.await("action: listen | result: success")
	_, address, _ := strings.Cut(line, "address: ")
	found := listens.FindStringSubmatch(address)
	if found == nil {
		p.Fatalf("it does not say where it listens: %s", line)
	}
	p.address = "localhost:" + found[1]
}

// stop is Ctrl-C in the central's terminal.
func (p *place) stop() {
	p.Helper()
	if p.central == nil {
		return
	}
	if err := syscall.Kill(-p.central.Process.Pid, syscall.SIGINT); err != nil {
		p.Error(err)
	}
	for line := range p.log.lines {
		fmt.Fprintln(&p.log.seen, line)
	}
	if err := p.central.Wait(); err != nil {
		p.Errorf("the central's end: %v\n%s", err, end(p.log.seen.String()))
	}
	p.central = nil
}

// ask runs the agency, which gets two winners.
func (p *place) ask(command string) {
	output := p.output(strings.Replace(command, "localhost:12345", p.address, 1))
	p.expect(output, `action: consulta_ganadores \| result: success \| cant_ganadores: 2`)
	for _, name := range []string{"bets.csv", "contest.json"} {
		if _, err := os.Stat(filepath.Join(p.dir, name)); err != nil {
			p.Error(err)
		}
	}
}

// serveAnother begins another lottery, of one agency.
func (p *place) serveAnother(command string) {
	p.await("action: acta | result: success")
	p.stop()
	p.said = p.log.seen.String()
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
	p.expect(p.log.seen.String(), `action: apuesta_almacenada \| result: success \| dni: 30904465 \| numero: 7574`)
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
