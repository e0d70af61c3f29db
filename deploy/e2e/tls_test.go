//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loteria/docs/markdown"
)

// Five agencies over TLS, as on the operators' page. Others get nothing,
// nor does one whose certificate is revoked.
func TestTLS(t *testing.T) {
	l := newLab(t)
	files := committedRows(t)
	l.configureServer(usualCentral)
	l.configureClient(usual)
	l.shell(markdown.Quoted("go run ./cmd/certs"))
	l.shell(markdown.Quoted("deploy/mount-certs.sh"))
	l.shell(markdown.Quoted("docker compose -f docker-compose-dev.yaml -f deploy/tls.yaml up -d"))
	l.finish(len(files))
	l.checkUndisturbed()
	l.checkLottery(files, usual.batchMaxAmount, []int{2, 3, 3, 2, 0})
	l.checkStored(l.contest(), files)
	central := l.logs("server")
	if listens := central.of("listen", "success"); len(listens) != 1 || listens[0].values["tls"] != "true" ||
		!strings.HasSuffix(listens[0].values["address"], ":12346") {
		t.Errorf("the central listens on %v, want 12346 with TLS alone", listens)
	}

	// Without a certificate: on the port for TLS, and on the one that is off.
	for address, says := range map[string]string{
		"server:12346": "the central server:12346 speaks TLS there, and this agency does not",
		"server:12345": "the central server:12345 cannot be reached, given up after 1 attempts",
	} {
		l.refused(says, "-e", "CLI_TLS_CA=", "-e", "CLI_TLS_CERT=", "-e", "CLI_TLS_KEY=", "-e", "CLI_SERVER_ADDRESS="+address)
	}
	// With another agency's.
	l.refused("/certs/agency-1.pem is of agency 1, expected is one of agency 2", "-e", "CLI_ID=2")
	l.winners(2)

	// Renewed without a stop, and then revoked.
	l.run("go", "run", "./cmd/certs", "--renew", "central,agency-1")
	l.run("deploy/mount-certs.sh")
	l.await("server", "reload_certificates", "success", 1)
	l.winners(2)
	list := filepath.Join(l.dir, "certs", "central", "revoked.txt")
	if err := os.WriteFile(list, []byte("agency 1 # its laptop was stolen\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.await("server", "reload_certificates", "success", 2)
	l.refused("the central server:12346 refuses the certificate in /certs/agency-1.pem (--tls-cert), which is revoked")
}

// askAs1 runs agency 1's container to ask for its winners, with other settings.
func (l *lab) askAs1(settings ...string) (output string, err error) {
	l.Helper()
	args := append([]string{"compose", "-f", composeName, "-f", "deploy/tls.yaml", "run", "--rm", "--no-deps", "-T",
		"-e", "CLI_MODE=winners", "-e", "CLI_CONNECT_LIMIT=1"}, settings...)
	combined, err := l.command(nil, "docker", append(args, client(1))...).CombinedOutput()
	return string(combined), err
}

// refused fails the test unless agency 1, with these settings, fails and says why.
func (l *lab) refused(says string, settings ...string) {
	l.Helper()
	if output, err := l.askAs1(settings...); err == nil || !strings.Contains(output, says) {
		l.Errorf("with %q the agency ends with %v, want %q:\n%s", settings, err, says, output)
	}
}

// winners fails the test unless agency 1 is told of n winners.
func (l *lab) winners(n int) {
	l.Helper()
	if output, err := l.askAs1(); err != nil || !strings.Contains(output, fmt.Sprintf("cant_ganadores: %d\n", n)) {
		l.Errorf("the agency ends with %v, want %d winners:\n%s", err, n, output)
	}
}
