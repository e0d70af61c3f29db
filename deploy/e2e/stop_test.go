//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// soon is within the grace period of 10 seconds, and has the start of Compose in it.
const soon = 9 * time.Second

// moments are in the middle of what can be stopped. begin returns the busy
// agencies.
var moments = []struct {
	name  string
	begin func(*lab) []string
}{
	{"echo", func(l *lab) []string {
		config := usual
		config.amount, config.period = 100_000, "50ms"
		l.configureClient(config)
		l.generate(2, "CLI_MODE=echo")
		l.up()
		return l.busy("receive_message", 3)
	}},
	{"batches", func(l *lab) []string {
		l.provide(1000, 1000)
		config := usual
		config.batchMaxAmount, config.period = 1, "50ms"
		l.configureClient(config)
		l.generate(2)
		l.up()
		return l.busy("batch_processed", 3)
	}},
	{"batches without a pause", func(l *lab) []string {
		l.provide(200_000, 200_000) // too many for any machine to finish first
		config := usual
		config.batchMaxAmount = 1
		l.configureClient(config)
		l.generate(2)
		l.up()
		return l.busy("batch_processed", 3)
	}},
	{"a parked query", func(l *lab) []string {
		l.provide(20, 20)
		l.configureClient(usual)
		l.generate(2)
		l.up("server", "client1")
		l.await("server", "agencia_finalizada", "success", 1)
		l.await("client1", "consulta_ganadores", "in_progress", 1)
		return []string{"client1"}
	}},
}

// busy waits until both agencies have done something that many times.
func (l *lab) busy(action string, times int) []string {
	l.Helper()
	both := []string{"client1", "client2"}
	for _, name := range both {
		l.await(name, action, "success", times)
	}
	return both
}

func TestStopAnAgency(t *testing.T) {
	for _, moment := range moments {
		t.Run(moment.name, func(t *testing.T) {
			l := newLab(t)
			moment.begin(l)
			l.stop("docker", "stop", "client1")
			l.checkAgencyClosed("client1", moment.name)
			if !l.running("server") {
				t.Error("the central has ended")
			}
			if moment.name != "a parked query" && l.logs("server").index("agencia_finalizada") >= 0 {
				t.Error("client1 was stopped in the middle, and has said FINISHED")
			}
			l.checkUndisturbed()
		})
	}
}

func TestStopTheCentral(t *testing.T) {
	for _, moment := range moments {
		t.Run(moment.name, func(t *testing.T) {
			l := newLab(t)
			moment.begin(l)
			l.stop("docker", "stop", "server")
			l.checkCentralClosed()
			if moment.name != "echo" { // its connections are short: there may be none now
				l.checkLogged("server", "close_connection")
			}
			// The agencies have lost it, and still stop when told to.
			l.stop("docker", "compose", "-f", composeName, "stop")
		})
	}
}

func TestStopAll(t *testing.T) {
	for _, moment := range moments {
		t.Run(moment.name, func(t *testing.T) {
			l := newLab(t)
			agencies := moment.begin(l)
			l.stop("docker", "compose", "-f", composeName, "stop")
			for _, name := range agencies {
				l.checkAgencyClosed(name, moment.name)
			}
			l.checkCentralClosed()
			l.checkUndisturbed()
		})
	}
}

// stop runs a command that stops containers. It must end soon.
func (l *lab) stop(name string, args ...string) {
	l.Helper()
	begun := time.Now()
	l.run(name, args...)
	if taken := time.Since(begun); taken > soon {
		l.Errorf("%s took %v", strings.Join(args, " "), taken)
	}
}

// checkAgencyClosed checks an agency that was stopped: its exit code, and that it
// has logged what it closed.
func (l *lab) checkAgencyClosed(name, moment string) {
	l.Helper()
	if code := l.exitCode(name); code != 0 {
		l.Errorf("%s exited with %d", name, code)
	}
	closed := []string{"exit"}
	if moment != "echo" {
		closed = append(closed, "close_connection")
	}
	if strings.HasPrefix(moment, "batches") {
		closed = append(closed, "close_file")
	}
	l.checkLogged(name, closed...)
	if all := l.logs(name); strings.HasPrefix(moment, "batches") {
		l.checkNot(name, all, "batch_processing_complete")
	} else if moment == "echo" {
		l.checkNot(name, all, "loop_finished")
	} else {
		l.checkNot(name, all.of("consulta_ganadores", "success"), "consulta_ganadores")
	}
}

// checkNot reports an action in a log: what was stopped in the middle must not
// pass for done.
func (l *lab) checkNot(container string, all log, action string) {
	l.Helper()
	if all.index(action) >= 0 {
		l.Errorf("%s was stopped in the middle, and logged %s", container, action)
	}
}

// checkCentralClosed checks the central likewise.
func (l *lab) checkCentralClosed() {
	l.Helper()
	if code := l.exitCode("server"); code != 0 {
		l.Errorf("server exited with %d", code)
	}
	l.checkLogged("server", "close_listener", "close_workers", "close_ledger", "exit")
	if all := l.logs("server"); all.index("sorteo") >= 0 {
		l.Error("the central has drawn while agencies were in the middle")
	}
}

func (l *lab) checkLogged(container string, actions ...string) {
	l.Helper()
	all := l.logs(container)
	for _, action := range actions {
		if len(all.of(action, "success")) == 0 {
			l.Errorf("%s has not logged %s", container, action)
		}
	}
}
