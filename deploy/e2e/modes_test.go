//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"loteria/docs/markdown"
)

func TestEcho(t *testing.T) {
	const agencies, messages = 2, 5
	l := newLab(t)
	l.configureClient(usual)
	l.shell(markdown.Quoted("CLI_MODE=echo bash generar-compose.sh docker-compose-dev.yaml 2"))
	l.up()
	l.finish(agencies)
	l.checkUndisturbed()

	l.await("server", "receive_message", "success", agencies*messages)
	central := l.logs("server").of("receive_message", "success")
	if len(central) != agencies*messages {
		t.Errorf("server: %d messages, want %d", len(central), agencies*messages)
	}
	for agency := 1; agency <= agencies; agency++ {
		name := client(agency)
		all := l.logs(name)
		for i := 1; i <= messages; i++ {
			message := fmt.Sprintf("[CLIENT %d] Message N°%d", agency, i)
			l.checkLine(name, all, 1, fmt.Sprintf(
				"action: receive_message | result: success | client_id: %d | msg: %s", agency, message))
			times := 0
			for _, one := range central {
				if one.values["msg"] == message && one.values["ip"] != "" {
					times++
				}
			}
			if times != 1 {
				t.Errorf("server: %q was logged %d times", message, times)
			}
		}
		l.checkLine(name, all, 1, fmt.Sprintf("action: loop_finished | result: success | client_id: %d", agency))
	}
}

func TestBet(t *testing.T) {
	const agencies = 5
	l := newLab(t)
	config := usual
	config.amount = 1
	l.configureClient(config)
	l.generate(agencies, "CLI_MODE=bet")
	l.up()
	l.finish(agencies)
	l.checkUndisturbed()

	l.await("server", "sorteo", "success", 1)
	central := l.logs("server")
	documents := map[string]bool{}
	for agency := 1; agency <= agencies; agency++ {
		name := client(agency)
		all := l.logs(name)
		sent := all.of("apuesta_enviada", "success")
		if len(sent) != 1 {
			t.Fatalf("%s: apuesta_enviada is logged %d times", name, len(sent))
		}
		documents[sent[0].values["dni"]] = true
		l.checkLine("server", central, 1, fmt.Sprintf("action: apuesta_almacenada | result: success | dni: %s | numero: %s",
			sent[0].values["dni"], sent[0].values["numero"]))
		l.checkLine(name, all, 1, fmt.Sprintf("action: loop_finished | result: success | client_id: %d", agency))
		won := 0
		if agency == 1 { // its bet is on the winning number
			won = 1
		}
		l.checkLine(name, all, 1, fmt.Sprintf("action: consulta_ganadores | result: success | cant_ganadores: %d", won))
	}
	if len(documents) != agencies {
		t.Errorf("the agencies bet for %d people, want %d", len(documents), agencies)
	}
	l.checkLine("server", central, 1, "action: sorteo | result: success")
	if central.of("apuesta_almacenada", "success").sum("dni") == 0 || len(l.stored(l.contest())) != agencies {
		t.Error("not every bet is stored")
	}
}

// The bet is the environment's when the file is written, whatever it holds.
func TestBetOfTheEnvironment(t *testing.T) {
	const messages = 3
	name := `María "la Ñata" O'Neil \ $HOME ${HOME} # : {x}`
	l := newLab(t)
	config := usual
	config.amount = messages
	l.configureClient(config)
	l.generate(1, "CLI_MODE=bet", "NOMBRE="+name, "APELLIDO=López, hija", "DOCUMENTO=01234567",
		"NACIMIENTO=2000-02-29", "NUMERO=0042")
	l.up()
	l.finish(1)
	l.checkUndisturbed()
	l.checkLine("client1", l.logs("client1"), messages, "action: apuesta_enviada | result: success | dni: 01234567 | numero: 0042")
	rows := l.stored(l.contest())
	if len(rows) != messages {
		t.Fatalf("%d bets are stored, want %d", len(rows), messages)
	}
	want := row{name, "López, hija", "01234567", "2000-02-29", "0042"}.stored(1)
	for _, got := range rows {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("stored is %q, want %q", got, want)
		}
	}
}
