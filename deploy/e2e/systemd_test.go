//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loteria/docs/markdown"
)

const (
	systemdImage     = "loteria-e2e-systemd:latest"
	systemdContainer = "loteria-e2e-systemd"
)

// host is a container in which systemd runs, with the project's tree at /src.
type host struct{ *lab }

// TestSystemd starts the central by hand and then installs it, as the operators' page
// says, on a fresh system, and runs a lottery in the service's sandbox.
func TestSystemd(t *testing.T) {
	l := newLab(t)
	l.run("make", "build")
	h := l.bootSystemd()

	h.byHand()
	for _, command := range []string{
		markdown.Quoted("install -m 755 bin/server /usr/local/bin/loteria-server"),
		markdown.Quoted("install -m 644 deploy/systemd/loteria.service /etc/systemd/system/"),
		markdown.Quoted("install -D -m 644 deploy/systemd/loteria.sysusers.conf /etc/sysusers.d/loteria.conf"),
		markdown.Quoted("install -D -m 644 deploy/systemd/loteria.env /etc/loteria/loteria.env"),
		markdown.Quoted("systemd-sysusers && systemctl daemon-reload && systemctl enable --now loteria"),
	} {
		h.sh(command)
	}
	h.awaitReady("taking bets")
	if status := h.show("ActiveState", "SubState"); status != "active running" {
		t.Errorf("after its installation the service is %s", status)
	}
	h.sh(`for id in 1 2 3 4 5; do bin/client --id $id --server-address 127.0.0.1:12345 --data-dir .data >/tmp/$id.log & done; wait
		test $(cat /tmp/*.log | grep -c 'action: consulta_ganadores | result: success') = 5`)
	h.awaitReady("the draw is done")

	h.sh(markdown.Quoted("systemctl stop loteria"))
	if ended := h.show("Result", "ExecMainStatus", "ActiveState"); ended != "success 0 inactive" {
		t.Errorf("a stop ends with %s", ended)
	}
	if log := h.sh("journalctl --unit loteria --no-pager --output cat"); !strings.Contains(log, "action: exit | result: success") ||
		strings.Contains(log, "result: fail") {
		t.Errorf("the journal has\n%s", log)
	}
	// Bets stay, and no other user reads them.
	if kept := h.sh("wc -l </var/lib/loteria/bets.csv; stat --format '%U %a' /var/lib/loteria"); kept != "78697\nloteria 700\n" {
		t.Errorf("after the stop there are %q, expected are 78,697 bets in a folder of the service alone", kept)
	}

	h.sh("systemctl start loteria")
	h.awaitReady("the draw is done")
	h.sh("systemctl kill --signal KILL loteria")
	h.awaitShown("1 active", "NRestarts", "ActiveState")
	h.awaitReady("the draw is done")

	h.control()
	h.withToken()
	h.overTLS()

	// A failure that no restart would fix is not restarted.
	h.sh("echo EXPECTED_AGENCIES=0 >>/etc/loteria/loteria.env; ! systemctl restart loteria")
	if ended := h.show("ActiveState", "ExecMainStatus"); ended != "failed 2" {
		t.Errorf("with a bad configuration the service is %s", ended)
	}
}

// statusOfNavidad asks the central of byHand, and later the service, how things stand.
var statusOfNavidad = markdown.Quoted("bin/server ctl --contest navidad --storage-dir /var/lib/loteria status")

// byHand begins a lottery without the service, and stops the central.
func (h host) byHand() {
	h.Helper()
	central := h.open(nil, "docker", h.exec(markdown.Quoted("bin/server --contest navidad --storage-dir /var/lib/loteria --expected-agencies 5"))...)
	central.await("action: listen \\| result: success")
	h.expect(h.sh(statusOfNavidad), "contest      navidad", "phase        betting", "of 5")
	h.sh(strings.Replace(statusOfNavidad, "status", "drain", 1))
	if err := central.end(); err != nil {
		h.Errorf("by hand the central ends with %v\n%s", err, end(central.printed.String()))
	}
}

// control operates the service without a restart. Its lottery is the one of byHand,
// whose folder systemd has given to the service's account.
func (h host) control() {
	h.Helper()
	h.sh("echo CONTEST=navidad >>/etc/loteria/loteria.env; systemctl restart loteria; ln -s /src/bin/server /usr/local/bin/")
	h.expect(h.sh(statusOfNavidad), "contest      navidad", "phase        betting")
	h.expect(h.sh(markdown.Quoted("sudo -u loteria loteria-server ctl --contest navidad --storage-dir /var/lib/loteria end 3")),
		"agency 3: its betting is ended, with 0 bets")

	// The settings may also be the environment's.
	const settings = "export CONTEST=navidad STORAGE_DIR=/var/lib/loteria\n"
	h.expect(h.sh(settings+markdown.Quoted("server ctl status")), "betting has ended of 1 of 5")
	h.expect(h.sh(settings+markdown.Quoted("server ctl end 3")), "agency 3: its betting had been ended before, with 0 bets")
	h.sh("sed -i /^CONTEST=/d /etc/loteria/loteria.env")
}

// withToken makes a token for the admin port, which the service's account can read.
func (h host) withToken() {
	h.Helper()
	const file = "/etc/loteria/admin-token"
	h.sh(markdown.Quoted("openssl rand -base64 24 | install -m 640 -g loteria /dev/stdin /etc/loteria/admin-token"))
	h.sh("echo ADMIN_TOKEN_FILE=" + file + " >>/etc/loteria/loteria.env; systemctl restart loteria")
	for user, want := range map[string]string{"": "401", `--user "x:$(cat ` + file + `)"`: "200", "--user x:another-token-than-that": "401"} {
		if got := h.sh("curl --silent --output /dev/null --write-out '%{http_code}' " + user + " http://127.0.0.1:8080/api/state"); got != want {
			h.Errorf("curl %s gets %s, want %s", user, got, want)
		}
	}
	h.sh("sed -i /^ADMIN_TOKEN_FILE=/d /etc/loteria/loteria.env")
}

// expect reports texts that are not in what a command has said.
func (h host) expect(said string, texts ...string) {
	h.Helper()
	for _, text := range texts {
		if !strings.Contains(said, text) {
			h.Errorf("it says\n%s\nwithout %q", said, text)
		}
	}
}

// overTLS runs another lottery on the service's TLS port alone: in its sandbox it
// reads the certificates named in its settings file, and reads them again.
func (h host) overTLS() {
	h.Helper()
	h.run("go", "run", "./cmd/certs", "--central-name", "127.0.0.1")
	h.sh(h.commentedCommands())
	h.sh(`sed -i -E 's/^#(TLS_(CERT|KEY|CLIENT_CA)=)/\1/' /etc/loteria/loteria.env
		printf '%s\n' CONTEST=tls SERVER_PORT=off TLS_PORT=12346 >>/etc/loteria/loteria.env
		systemctl restart loteria`)
	h.awaitReady("taking bets")
	h.run("go", "run", "./cmd/certs", "--renew", "central")
	h.sh(h.commentedCommands() + `
		systemctl kill --signal USR1 loteria`)
	h.sh(`for id in 1 2 3 4 5; do bin/client --id $id --server-address 127.0.0.1:12346 --data-dir .data \
			--tls-ca certs/authority.pem --tls-cert certs/agency-$id.pem --tls-key certs/agency-$id-key.pem >/tmp/tls-$id.log & done; wait
		test $(cat /tmp/tls-*.log | grep -c 'action: consulta_ganadores | result: success') = 5`)
	h.awaitReady("the draw is done")
	if log := h.sh("journalctl --unit loteria --no-pager --output cat"); !strings.Contains(log, "action: reload_certificates | result: success") {
		h.Errorf("the central's certificate was renewed, and the journal has\n%s", log)
	}
	h.sh("sed -i -E '/^(TLS_|SERVER_PORT=|CONTEST=)/d' /etc/loteria/loteria.env")
}

// commentedCommands returns the commands in the service's settings file that
// install the certificates.
func (h host) commentedCommands() string {
	h.Helper()
	content, err := os.ReadFile(filepath.Join(root, "deploy", "systemd", "loteria.env"))
	if err != nil {
		h.Fatal(err)
	}
	var commands []string
	for line := range strings.Lines(string(content)) {
		if command, isOne := strings.CutPrefix(strings.TrimSpace(line), "#   "); isOne && strings.Contains(command, "/etc/loteria/tls") {
			commands = append(commands, command)
		}
	}
	if len(commands) != 2 {
		h.Fatalf("the settings' file has %d commands that put certificates in their place: %q", len(commands), commands)
	}
	return strings.Join(commands, "\n")
}

// bootSystemd runs systemd in a container. The test is skipped where that is
// impossible.
func (l *lab) bootSystemd() host {
	l.Helper()
	l.Cleanup(func() { l.docker("rm", "--force", systemdContainer); l.docker("rmi", "--force", systemdImage) })
	// The image of the builder is a Debian that every machine has.
	output, err := l.command(nil, "docker", "run", "--name", systemdContainer, "golang:1.26", "sh", "-ec",
		"apt-get -qq update && apt-get -qq install -y --no-install-recommends systemd dbus curl openssl sudo >/dev/null").CombinedOutput()
	if err != nil {
		l.Skipf("Debian's systemd cannot be installed in a container here: %v: %s", err, output)
	}
	l.docker("commit", systemdContainer, systemdImage)
	l.docker("rm", systemdContainer)
	args := []string{
		"run", "--detach", "--name", systemdContainer, "--env", "container=docker",
		"--cgroupns", "private", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--tmpfs", "/run", "--tmpfs", "/run/lock",
		"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--volume", l.dir + ":/src:ro",
	}
	for _, capability := range []string{"SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN"} { // for the sandbox
		args = append(args, "--cap-add", capability)
	}
	l.docker(append(args, systemdImage, "/lib/systemd/systemd")...)
	h := host{l}
	var state []byte
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(glance) {
		// It exits with 1 while the state is not running.
		state, _ = h.inside("systemctl is-system-running").CombinedOutput()
		if text := strings.TrimSpace(string(state)); text == "running" || text == "degraded" {
			return h
		}
		if time.Now().After(deadline) {
			l.Skipf("systemd does not come up in a container here: %s", state)
		}
	}
}

// exec returns the arguments with which docker runs a script in the container, from
// the project's root.
func (h host) exec(script string) []string {
	return []string{"exec", "--workdir", "/src", systemdContainer, "bash", "-ec", script}
}

func (h host) inside(script string) *exec.Cmd {
	return h.command(nil, "docker", h.exec(script)...)
}

// sh runs a script in the container. It must succeed.
func (h host) sh(script string) string {
	h.Helper()
	output, err := h.inside(script).CombinedOutput()
	if err != nil {
		journal, _ := h.inside("journalctl --no-pager --output cat | tail -n 30").CombinedOutput()
		h.Fatalf("%s: %v\n%s\nthe journal:\n%s", script, err, output, journal)
	}
	return string(output)
}

// show returns properties of the service.
func (h host) show(properties ...string) string {
	h.Helper()
	var values []string
	for _, property := range properties {
		values = append(values, strings.TrimSpace(h.sh("systemctl show loteria --value --property "+property)))
	}
	return strings.Join(values, " ")
}

func (h host) awaitShown(want string, properties ...string) {
	h.Helper()
	var got string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(glance) {
		if got = h.show(properties...); got == want {
			return
		}
	}
	h.Fatalf("after a minute the service is %s, expected %s", got, want)
}

// awaitReady waits until /readyz begins with a text.
func (h host) awaitReady(want string) {
	h.Helper()
	var got []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(glance) {
		if got, _ = h.inside("curl --silent http://127.0.0.1:8080/readyz").Output(); strings.HasPrefix(string(got), want) {
			return
		}
	}
	h.Fatalf("after a minute /readyz answers %q, expected %q", got, want)
}
