package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"
)

// The test binary plays every program: under the name of one of them it is
// that one. What is to go wrong with it is in the environment, see misbehave.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "run":
		main()
	case "server":
		stubServer()
	case "nats-server":
		stubNATS()
	case "client":
		stubClient()
	default:
		goleak.VerifyTestMain(m)
	}
}

// watchVar has the address to which every stub opens a connection that stays
// until its process is gone, however it goes.
const watchVar = "STUB_WATCH"

func watched(who string) {
	address := os.Getenv(watchVar)
	if address == "" {
		return
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		die(9, "watch: %v", err)
	}
	fmt.Fprintln(conn, who)
	go func() { // a test that failed leaves nothing behind
		io.Copy(io.Discard, conn)
		os.Exit(8)
	}()
}

// misbehave tells whether a stub is to go wrong in this way.
func misbehave(who, how string) bool {
	return strings.Contains(os.Getenv(stubVar)+",", who+" "+how+",")
}

// stubVar lists what is to go wrong: "central dies,agency 3 fails".
const stubVar = "STUB_MISBEHAVES"

func die(code int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(code)
}

func logLine(format string, args ...any) {
	fmt.Printf("2026-01-31 10:00:00 INFO     "+format+"\n", args...)
}

// stubServer stores the rows that come, and answers all agencies with their
// winners when the last one has sent the end of its rows.
func stubServer() {
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	bind := flags.String("bind", "", "")
	port := flags.String("port", "", "")
	secured := stubCredentials(flags)
	flags.StringVar(bind, "tls-bind", "", "")
	flags.StringVar(&secured.port, "tls-port", "", "")
	dir := flags.String("storage-dir", "", "")
	expected := flags.Int("expected-agencies", 0, "")
	admin := flags.String("admin", "none", "")
	shared := flags.String("ledger", "", "")
	name := flags.String("central", "central", "")
	export := flags.String("export", "", "")
	flags.ParseErrorsAllowlist.UnknownFlags = true
	if err := flags.Parse(os.Args[1:]); err != nil {
		die(2, "%v", err)
	}
	if *export != "" {
		stubExport(*export)
		return
	}
	watched(strings.ReplaceAll(*name, "-", " "))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if misbehave("central", "dies") {
		for i := range 2 * tailLines {
			logLine("action: getting_ready | result: success | step: %d", i+1)
		}
		die(3, "panic: nothing works\x1b[31m today")
	}
	if *port == "off" {
		*port = secured.port
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(*bind, *port))
	if err != nil {
		die(1, "%v", err)
	}
	secured.check("central")
	logLine("action: config | result: success | admin: %s", *admin)
	switch {
	case *admin == "127.0.0.1:1":
		logLine("action: admin_listen | result: in_progress | address: %s | reason: address already in use", *admin)
	case *admin != "":
		logLine("action: admin_listen | result: success | address: %s", *admin)
	}
	if !misbehave("central", "is silent") {
		logLine("action: listen | result: success | address: %s", listener.Addr())
	}
	if *shared != "" {
		go stubSharing(listener, *expected, *name)
	} else {
		go stubDraw(listener, *expected, filepath.Join(*dir, ledgerName))
	}
	<-stop
	if misbehave("central", "is stubborn") {
		logLine("action: stop | result: in_progress")
		select {}
	}
	if misbehave("central", "stops badly") {
		die(1, "server: cannot stop")
	}
	os.Exit(0)
}

func stubDraw(listener net.Listener, expected int, ledger string) {
	file, err := os.Create(ledger)
	if err != nil {
		die(1, "%v", err)
	}
	var mu sync.Mutex
	var waiting []func()
	for {
		conn, err := listener.Accept()
		if err != nil {
			die(1, "%v", err)
		}
		if misbehave("central", "crashes") {
			die(4, "panic: an agency came")
		}
		go func() {
			rows, err := io.ReadAll(conn)
			if err != nil {
				die(1, "%v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if misbehave("central", "loses a row") {
				rows = rows[strings.Index(string(rows), "\n")+1:]
			}
			file.Write(rows)
			waiting = append(waiting, func() {
				fmt.Fprintln(conn, strings.Count(string(rows), ",7574\r\n"))
				conn.Close()
			})
			if len(waiting) == expected {
				if misbehave("central", "grumbles") {
					logLine("action: apuesta_recibida | result: fail | cantidad: 1")
				}
				if !misbehave("central", "hides the draw") {
					logLine("action: sorteo | result: success")
				}
				if misbehave("central", "draws again") {
					logLine("action: sorteo | result: success")
				}
				for _, answer := range waiting {
					answer()
				}
			}
		}()
	}
}

// stubClient sends the rows of its agency's file and asks for its winners.
func stubClient() {
	flags := pflag.NewFlagSet("client", pflag.ContinueOnError)
	id := flags.String("id", "", "")
	mode := flags.String("mode", "", "")
	address := flags.String("server-address", "", "")
	secured := stubCredentials(flags)
	data := flags.String("data-dir", "", "")
	batch := flags.Int("batch-max-amount", 0, "")
	period := flags.Duration("loop-period", -1, "")
	flags.ParseErrorsAllowlist.UnknownFlags = true
	if err := flags.Parse(os.Args[1:]); err != nil {
		die(2, "%v", err)
	}
	who := "agency " + *id
	watched(who)
	switch {
	case misbehave(who, "fails"):
		logLine("action: config | result: success | client_id: %s", *id)
		die(1, "client: agency-%s.csv, line 7: the number is \"x\"", *id)
	case misbehave(who, "is killed"):
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case misbehave(who, "hangs"):
		select {}
	}
	secured.check("agency-" + *id)
	logLine("action: config | result: success | client_id: %s | loop_period: %s", *id, period)
	first, _, _ := strings.Cut(*address, ",")
	conn, err := net.Dial("tcp", first)
	if err != nil {
		die(1, "client: %v", err)
	}
	if *mode == "winners" {
		stubAsk(conn.(*net.TCPConn), *id)
		return
	}
	text, err := os.ReadFile(filepath.Join(*data, "agency-"+*id+".csv"))
	if err != nil {
		die(1, "client: %v", err)
	}
	rows := strings.SplitAfter(string(text), "\r\n")
	rows = rows[:len(rows)-1]
	for from := 0; from < len(rows); from += *batch {
		if from > 0 && misbehave(who, "dawdles") {
			select {}
		}
		to := min(from+*batch, len(rows))
		for _, row := range rows[from:to] {
			fmt.Fprintf(conn, "%s,%s", *id, row)
		}
		cantidad := fmt.Sprint(to - from)
		if misbehave(who, "babbles") {
			cantidad = "many"
		}
		logLine("action: batch_processed | result: success | client_id: %s | batch: %d-%d | cantidad: %s", *id, from+1, to, cantidad)
	}
	sent := len(rows)
	if misbehave(who, "miscounts") {
		sent--
	}
	logLine("action: batch_processing_complete | result: success | client_id: %s | processed: %d/%d", *id, sent, len(rows))
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		die(1, "client: %v", err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		die(1, "client: %v", err)
	}
	if misbehave(who, "forgets") {
		os.Exit(0)
	}
	logLine("action: consulta_ganadores | result: success | cant_ganadores: %s", strings.TrimSpace(answer))
	os.Exit(0)
}

// stubTLS is what a program is given of TLS, which the stubs do not speak.
type stubTLS struct{ port, authority, certificate, key string }

func stubCredentials(flags *pflag.FlagSet) *stubTLS {
	var given stubTLS
	flags.StringVar(&given.authority, "tls-ca", "", "")
	flags.StringVar(&given.authority, "tls-client-ca", "", "")
	flags.StringVar(&given.certificate, "tls-cert", "", "")
	flags.StringVar(&given.key, "tls-key", "", "")
	return &given
}

// check ends the program unless it was given nothing, or whole paths of its own
// files, which are there.
func (s *stubTLS) check(name string) {
	if s.authority+s.certificate+s.key == "" {
		return
	}
	for path, want := range map[string]string{s.authority: "authority.pem", s.certificate: name + ".pem", s.key: name + "-key.pem"} {
		if _, err := os.Stat(path); err != nil || !filepath.IsAbs(path) || filepath.Base(path) != want {
			die(1, "%s has %q, expected %s: %v", name, path, want, err)
		}
	}
	logLine("action: read_certificates | result: success | file: %s", s.certificate)
}
