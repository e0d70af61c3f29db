//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"loteria/docs/markdown"
)

// The bets of three agencies, and how many of them win.
var (
	small        = []int{40, 25, 10}
	smallWinners = []int{1, 2, 0}
)

// play runs the small lottery of the lab's Compose file, and checks its end.
func (l *lab) play(files [][]row) {
	l.Helper()
	l.up()
	l.finish(len(files))
	l.checkUndisturbed()
	l.checkLottery(files, usual.batchMaxAmount, smallWinners)
	l.checkStored(l.contest(), files)
}

func newSmallLottery(t *testing.T) (l *lab, files [][]row) {
	t.Helper()
	l = newLab(t)
	files = l.provide(small...)
	l.configureClient(usual)
	l.generate(len(files))
	return l, files
}

func TestFinishedLotteryStaysFinished(t *testing.T) {
	l, files := newSmallLottery(t)
	l.play(files)
	l.down()

	l.up()
	l.finish(len(files))
	l.checkUndisturbed()
	l.checkStored(l.contest(), files)
	central := l.logs("server")
	l.checkLine("server", central, 0, "action: sorteo | result: success")
	if n := len(central.of("apuesta_recibida", "success")); n != 0 {
		t.Errorf("the central stored %d batches again", n)
	}
	said := central.of("contest_drawn", "success")
	if len(said) != 1 || !strings.Contains(said[0].text, "CONTEST") {
		t.Errorf("the central does not say how a new lottery is begun: %v", said)
	}
	for i, winners := range smallWinners {
		name := client(i + 1)
		if got := l.logs(name).of("consulta_ganadores", "success"); len(got) != 1 || got.sum("cant_ganadores") != winners {
			t.Errorf("%s was told %v, want %d winners", name, got, winners)
		}
	}
}

// An unfinished lottery continues where it was.
func TestUnfinishedLotteryGoesOn(t *testing.T) {
	l, files := newSmallLottery(t)
	l.up("server", "client1")
	l.await("server", "agencia_finalizada", "success", 1)
	l.down()

	l.up()
	l.finish(len(files))
	l.checkUndisturbed()
	l.checkStored(l.contest(), files)
	l.await("server", "sorteo", "success", 1)
	l.checkLine("server", l.logs("server"), 1, "action: sorteo | result: success")
}

// An agency that is stopped in the middle and started again sends the rest.
func TestStoppedAgencyGoesOn(t *testing.T) {
	l := newLab(t)
	files := l.provide(200)
	config := usual
	config.batchMaxAmount, config.period = 1, "20ms"
	l.configureClient(config)
	l.generate(1)
	l.up()
	l.await("client1", "batch_processed", "success", 5)
	l.docker("stop", "client1")
	l.up()
	l.finish(1)
	l.checkUndisturbed()
	l.checkStored(l.contest(), files)
}

// The engine restarts what dies, and the lottery ends with each bet once.
func TestWhatDiesIsStartedAgain(t *testing.T) {
	l := newLab(t)
	files := l.provide(600, 600)
	config := usual
	config.batchMaxAmount, config.period = 1, "50ms" // half a minute for each
	l.configureClient(config)
	l.generate(len(files))
	l.up()
	l.await("client1", "batch_processed", "success", 5)
	for _, name := range []string{"server", "client1"} {
		l.die(name)
	}
	l.finish(len(files))
	l.checkUndisturbed()
	l.checkStored(l.contest(), files)
	for _, name := range []string{"server", "client1"} {
		if n := strings.TrimSpace(l.docker("inspect", "--format", "{{.RestartCount}}", name)); n != "1" {
			t.Errorf("%s was started again %s times, want 1", name, n)
		}
	}
}

// die kills the container's process, not the container: the engine would take
// that for an intended stop.
func (l *lab) die(name string) {
	l.Helper()
	pid := strings.TrimSpace(l.docker("inspect", "--format", "{{.State.Pid}}", name))
	l.docker("run", "--rm", "--pid", "host", busybox, "kill", "-9", pid)
}

func TestNewFileIsANewLottery(t *testing.T) {
	l, files := newSmallLottery(t)
	first := l.contest()
	l.play(files)
	l.down()

	l.generate(len(files))
	if l.contest() == first {
		t.Fatalf("both files are of the contest %s", first)
	}
	l.play(files)
	l.checkStored(first, files) // untouched
}

// The make targets leave nothing behind.
func TestMakeTargets(t *testing.T) {
	l, files := newSmallLottery(t)
	for range 2 { // the same file twice
		l.shell(markdown.Quoted("make docker-compose-up"))
		l.finish(len(files))
		l.checkLottery(files, usual.batchMaxAmount, smallWinners)
		l.checkStored(l.contest(), files)
		l.checkUndisturbed()
		l.checkShape()
		l.shell(markdown.Quoted("make docker-compose-down"))
		if err := lookForOthers(); err != nil {
			t.Error(err)
		}
	}
}

func TestMakeLogs(t *testing.T) {
	l := newLab(t)
	l.generate(0)
	l.up()
	logs := l.open(nil, "sh", "-c", markdown.Quoted("make docker-compose-logs"))
	logs.await("action: listen")
	l.docker("stop", "server")
	logs.await("action: close_listener")
	if err := logs.end(); err != nil { // it ends when no container is left to log
		t.Error(err)
	}
}
