//go:build linux

package cmd_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/docs/markdown"
	"loteria/internal/process/processtest"
)

// readOperatorsTables returns what the tables of the operators' page on TLS say that
// the programs say, without code marks.
func readOperatorsTables(t *testing.T) (says []string) {
	t.Helper()
	page, err := os.ReadFile("../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## Over TLS\n")
	section, _, ends := strings.Cut(section, "\n### Over TLS in containers\n")
	if !found || !ends {
		t.Fatal("the operators' page has no section on TLS")
	}
	for _, cell := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(section, -1) {
		says = append(says, strings.ReplaceAll(cell[1], `\|`, "|"))
	}
	if len(says) < 15 {
		t.Fatalf("the section's tables have no more than %q", says)
	}
	return says
}

// said reports whether a text has the parts of a quotation of the page, which are
// separated by "…", in order.
func said(text, quoted string) bool {
	for part := range strings.SplitSeq(quoted, "…") {
		_, after, found := strings.Cut(text, strings.TrimSpace(part))
		if !found {
			return false
		}
		text = after
	}
	return true
}

// newcomer follows the page in a folder of its own.
type newcomer struct {
	t        *testing.T
	folder   string
	port     string
	central  *processtest.Process // once it was started
	agencies string               // what they have said
}

// wayLimit ends what hangs.
const wayLimit = 3 * time.Minute

// order is a command of the page as it is run here: with a free port for 12346, and
// without the central's page.
func (n *newcomer) order(command string) *exec.Cmd {
	bash := exec.Command("bash", "-c", strings.ReplaceAll(command, "12346", n.port))
	bash.Dir = n.folder
	bash.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "ADMIN_ADDRESS=off", "BIND_ADDRESS=127.0.0.1",
		"GORACE=atexit_sleep_ms=0", "CLI_CONNECT_LIMIT=20"}
	bash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return bash
}

// run runs a command to its end, and returns what it says.
func (n *newcomer) run(command string, wantCode int) string {
	n.t.Helper()
	bash := n.order(command)
	timer := time.AfterFunc(wayLimit, func() { _ = syscall.Kill(-bash.Process.Pid, syscall.SIGKILL) })
	defer timer.Stop()
	output, err := bash.CombinedOutput()
	if code := bash.ProcessState.ExitCode(); code != wantCode {
		n.t.Fatalf("%s\nends with %v, expected exit code %d:\n%s\n%v", command, err, wantCode, output, n.central)
	}
	n.agencies += string(output)
	return string(output)
}

// A new user who follows the operators' page gets a lottery over TLS.
func TestOperatorsWayToTLS(t *testing.T) {
	says := readOperatorsTables(t)
	data, err := filepath.Abs("../.data")
	if err != nil {
		t.Fatal(err)
	}
	n := &newcomer{t: t, folder: besidePrograms(t)}
	_, n.port, _ = net.SplitHostPort(processtest.FreeAddress(t))
	if err := os.Symlink(data, filepath.Join(n.folder, ".data")); err != nil {
		t.Fatal(err)
	}
	// The other programs are there.
	if output, err := exec.Command("go", "build", "-o", binFolder+"/", "./certs").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	n.run(markdown.Quoted("bin/certs --agencies 5 --central-name central.example,localhost"), 0)
	n.run(markdown.Quoted("touch certs/revoked.txt"), 0)

	server := markdown.Quoted("bin/server --contest navidad --storage-dir bets --expected-agencies 5 --port off --tls-port 12346 " +
		"--tls-cert certs/central.pem --tls-key certs/central-key.pem --tls-client-ca certs/authority.pem --tls-revoked certs/revoked.txt")
	n.central = processtest.Start(t, n.order("exec "+server), nil) // no shell between it and signals
	n.central.Await("action: listen | result: success | address: 127.0.0.1:" + n.port + " | tls: true")

	agencies := markdown.Quoted("for id in 1 2 3 4 5; do bin/client --id $id --server-address localhost:12346 --tls-ca certs/authority.pem " +
		"--tls-cert certs/agency-$id.pem --tls-key certs/agency-$id-key.pem & done; wait")
	told := n.run(agencies, 0)
	for id, count := range winners {
		if n := strings.Count(told, fmt.Sprintf("client_id: %d | total: ", id)); n != 1 {
			t.Errorf("agency %d has finished %d times", id, n)
		}
		if n := strings.Count(told, fmt.Sprintf("consulta_ganadores | result: success | cant_ganadores: %d\n", count)); n == 0 {
			t.Errorf("nobody is told of %d winners", count)
		}
	}
	if strings.Contains(told, "result: fail") {
		t.Errorf("an agency has failed:\n%s", told)
	}

	// One agency alone asks for its winners.
	ask := func(id int, more string) string {
		command := strings.NewReplacer("for id in 1 2 3 4 5; do", fmt.Sprintf("id=%d;", id), "& done; wait", "--mode winners "+more).Replace(agencies)
		if command == agencies || strings.Contains(command, "wait") {
			t.Fatalf("the agencies are not started as this test knows: %s", agencies)
		}
		return command
	}
	n.run(markdown.Quoted("bin/certs --renew central,agency-3"), 0)
	n.central.Await("action: reload_certificates | result: success")
	n.run(ask(3, ""), 0)
	n.run(markdown.Quoted("echo 'agency 3 # its laptop was stolen' >>certs/revoked.txt"), 0)
	n.central.Await("action: reload_certificates | result: success")
	n.run(ask(3, ""), 1)
	n.run(ask(2, ""), 0)

	// What goes wrong, as the tables have it.
	n.run("bin/certs --folder other --central-name localhost", 0)
	n.run(ask(2, "--tls-ca= --tls-cert= --tls-key="), 1)
	n.run(ask(2, "--tls-ca other/authority.pem"), 1)
	n.run(ask(2, "--tls-cert other/agency-2.pem --tls-key other/agency-2-key.pem"), 1)
	n.run(ask(2, "--server-address 127.0.0.1:12346"), 1)
	renamed := markdown.Quoted("bin/certs --renew central --central-name central.example,10.0.0.7") // here another address
	n.run(strings.NewReplacer("central.example", "localhost", "10.0.0.7", "127.0.0.1").Replace(renamed), 0)
	n.central.Await("action: reload_certificates | result: success")
	n.run(ask(2, "--server-address 127.0.0.1:12346"), 0)
	n.run(ask(2, "--tls-cert certs/agency-3.pem --tls-key certs/agency-3-key.pem"), 2)
	n.run("chmod 644 certs/agency-2-key.pem; "+ask(2, ""), 0)
	n.run("echo nonsense >>certs/revoked.txt", 0)
	n.central.Signal(syscall.SIGUSR1)
	n.central.Await("action: reload_certificates | result: fail")
	n.central.Stop()
	all := n.agencies + strings.Join(n.central.Lines(), "\n") + n.central.Stderr()
	untried := []string{
		"the central … speaks no TLS", "has a certificate that is not valid now", "which is not valid now by its clock", // see package agency
		"the handshake is not done after 10s", "the peer's handshake has more than 16384 bytes", // see package reactor
	}
	for _, quoted := range says {
		isUntried := false
		for _, part := range untried {
			isUntried = isUntried || strings.Contains(quoted, part)
		}
		if !isUntried && !said(all, quoted) {
			t.Errorf("nobody says %q", quoted)
		}
	}
	if t.Failed() {
		bets := regexp.MustCompile(`(?m)^.*(apuesta_recibida|batch_processed) \| result: success.*\n`)
		t.Logf("without the bets, the agencies and the central:\n%s", bets.ReplaceAllString(all, ""))
	}
}
