//go:build e2e

package e2e

import (
	"testing"

	"loteria/docs/markdown"
)

// The central and an agency are killed, and everything is taken down, in the
// middle of sending: the lottery continues each time, and has each bet once.
func TestKilledContainersGoOn(t *testing.T) {
	l := newLab(t)
	files := l.provide(4000, 4000, 4000) // for half a minute
	config := usual
	config.batchMaxAmount, config.period = 3, "20ms"
	l.configureClient(config)
	l.generate(len(files))

	l.up()
	l.await("client1", "batch_processed", "success", 10)
	l.shell(markdown.Quoted("docker kill server"))
	l.up()
	l.await("client1", "batch_processed", "success", 20)
	l.docker("kill", "client2")
	l.up()
	l.await("client3", "batch_processed", "success", 30)
	l.docker("kill", "server", "client1", "client2", "client3")
	l.down()

	l.up()
	l.finish(len(files))
	l.checkUndisturbed()
	l.checkStored(l.contest(), files)
	l.await("server", "sorteo", "success", 1)
	l.checkLine("server", l.logs("server"), 1, "action: sorteo | result: success")
	for agency := range files {
		name := client(agency + 1)
		if got := l.logs(name).of("consulta_ganadores", "success"); len(got) != 1 || got.sum("cant_ganadores") != winners(agency+1) {
			t.Errorf("%s was told %v, want %d winners", name, got, winners(agency+1))
		}
	}
}
