//go:build linux

package cmd_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/internal/process/processtest"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// stuckTime is how long nothing at all may progress.
const stuckTime = 90 * time.Second

// How far a process is.
const (
	starting  = "starting"
	sending   = "sending"
	finishing = "finishing" // an agency: all is acknowledged, FINISHED is not
	waiting   = "waiting"   // some, or for an agency itself, have finished
	drawing   = "drawing"   // the central: all bets are in, the draw is not logged
	drawn     = "drawn"
)

// round is one lottery of a central and agencies that are processes. It belongs
// to the goroutine of its test.
type round struct {
	t         *testing.T
	in        *input
	storage   string
	transport transport
	address   string              // of the central
	reach     func(id int) string // the address at which an agency calls the central
	batch     int
	window    int
	stir      func(from *process, said map[string]string) // sees every line after it was taken in
	mayFail   string                                      // text of lines that may say fail
	atDeath   func(holding) holding                       // sees, and may add to, the ledger of a killed central

	events    chan event
	central   *process
	listening bool
	agencies  map[int]*process

	acked    map[int]int // bets that each agency knows to be stored
	complete map[int]bool
	finished map[int]bool
	told     map[int][]string // documents that the agency's running process was told
	done     map[int]bool     // the agency has exited with 0
	wasDrawn bool
	draws    int
	redrawn  bool    // the central was killed before the draw was kept, and came back with it done
	found    holding // what the central must find when it is back
	torn     int     // bytes that it said it found torn
	actas    int     // times that the running central said that it has the acta of the draw

	tally tally
}

// tally counts what has happened.
type tally struct {
	lotteries  int
	kills      map[string]int // by process and state
	total      int
	recoveries int
	torn       int // recoveries that cut a torn row off
	tornBytes  int
	resumes    int // agencies that found some of their bets stored
	losses     int // connections lost, as the agencies tell
	refused    int // attempts to connect that failed
	unsaid     int // draws that were kept but not logged: the central was killed in between
	silent     int // draws that a restart made, without the line
	renewals   int // certificates reread by a running central
}

func newTally() tally { return tally{kills: map[string]int{}} }

func (a *tally) add(b tally) {
	a.lotteries += b.lotteries
	for key, n := range b.kills {
		a.kills[key] += n
	}
	a.total += b.total
	a.recoveries += b.recoveries
	a.torn += b.torn
	a.tornBytes += b.tornBytes
	a.resumes += b.resumes
	a.losses += b.losses
	a.refused += b.refused
	a.unsaid += b.unsaid
	a.silent += b.silent
	a.renewals += b.renewals
}

func (a tally) String() string {
	var kills []string
	for _, key := range slices.Sorted(maps.Keys(a.kills)) {
		kills = append(kills, fmt.Sprintf("%s %d", key, a.kills[key]))
	}
	return fmt.Sprintf("%d lotteries, %d kills (%s), %d recoveries of which %d cut a torn row (%d bytes), %d resumes, "+
		"%d connections lost, %d attempts to connect in vain, %d draws whose line a kill took, %d that a restart made, %d renewed certificates",
		a.lotteries, a.total, strings.Join(kills, ", "), a.recoveries, a.torn, a.tornBytes, a.resumes, a.losses, a.refused, a.unsaid, a.silent, a.renewals)
}

func newRound(t *testing.T, in *input, batch, window int) *round {
	t.Helper()
	return newRoundOver(t, transport{}, in, batch, window)
}

func newRoundOver(t *testing.T, over transport, in *input, batch, window int) *round {
	t.Helper()
	programs(t)
	r := &round{
		t: t, in: in, transport: over, storage: t.TempDir(), address: processtest.FreeAddress(t), batch: batch, window: window,
		stir:     func(*process, map[string]string) {},
		atDeath:  func(h holding) holding { return h },
		events:   make(chan event, 1024),
		agencies: map[int]*process{},
		acked:    map[int]int{},
		complete: map[int]bool{},
		finished: map[int]bool{},
		told:     map[int][]string{},
		done:     map[int]bool{},
		tally:    newTally(),
	}
	r.reach = func(int) string { return r.address }
	r.tally.lotteries = 1
	return r
}

// twoAddresses returns the central's address, and its other name.
func (r *round) twoAddresses() string {
	_, port, _ := net.SplitHostPort(r.address)
	return r.address + "," + net.JoinHostPort("localhost", port)
}

func (r *round) ledger() string { return filepath.Join(r.storage, csvledger.LedgerFile) }

func (r *round) startCentral(more ...string) {
	r.listening = false
	r.torn, r.actas = 0, 0
	_, port, _ := net.SplitHostPort(r.address)
	r.central = start(r.t, r.events, 0, "server", slices.Concat(r.transport.server(port), []string{
		"--admin=", "--storage-dir", r.storage, "--expected-agencies", strconv.Itoa(agencies)}, more)...)
}

func (r *round) startAgency(id int) { r.startAgencyWith(id) }

func (r *round) startAgencyWith(id int, more ...string) *process {
	delete(r.told, id)
	delete(r.done, id)
	r.agencies[id] = start(r.t, r.events, id, "client", slices.Concat(r.transport.client(id), []string{"--id", strconv.Itoa(id),
		"--server-address", r.reach(id), "--data-dir", r.in.data, "--log-level", "DEBUG",
		"--batch-max-amount", strconv.Itoa(r.batch), "--window", strconv.Itoa(r.window),
		"--connect-limit", "100000", // the test gives up, not they
	}, more)...)
	return r.agencies[id]
}

// play runs the lottery to its end and judges it. Killed processes are started
// again at once.
func (r *round) play() {
	r.t.Helper()
	if r.central == nil {
		r.startCentral()
	}
	for id := range r.in.counts {
		r.startAgency(id)
	}
	r.until("all agencies know their winners", r.over)
	r.stopCentral()
	r.judge()
}

func (r *round) over() bool {
	return len(r.done) == len(r.in.counts) && r.listening && !r.central.struck
}

// until takes events until so returns true.
func (r *round) until(what string, so func() bool) {
	r.t.Helper()
	stuck := time.NewTimer(stuckTime)
	defer stuck.Stop()
	for !so() {
		select {
		case e := <-r.events:
			stuck.Reset(stuckTime)
			if e.end {
				r.end(e.from)
			} else {
				r.hear(e.from, e.line)
			}
		case <-stuck.C:
			r.fail("nothing happens any more before %s", what)
		}
	}
}

// end handles the end of a process.
func (r *round) end(p *process) {
	r.t.Helper()
	p.ended = true
	if text := p.stderr.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
		r.fail("%s has failed:\n%s", p.Name, text)
	}
	switch {
	case p.How() == "ended with signal: killed" && p.struck:
		who := "agency"
		if p.id == 0 {
			who = "central"
		}
		r.tally.kills[who+" "+p.state]++
		r.tally.total++
		if p.id > 0 {
			r.startAgency(p.id)
			return
		}
		r.inspectLedger()
		r.startCentral()
	case p.id > 0 && p.ExitCode() == 0:
		if _, told := r.told[p.id]; !told {
			r.fail("%s has ended without its winners", p.Name)
		}
		r.done[p.id] = true
	default:
		r.fail("%s %s", p.Name, p.How())
	}
}

// inspectLedger checks what a killed central has left.
func (r *round) inspectLedger() {
	r.t.Helper()
	found, err := r.in.inspect(r.ledger())
	if err != nil {
		r.fail("after a kill: %v", err)
	}
	for id, acked := range r.acked {
		if found.counts[id] < acked {
			r.fail("after a kill the ledger has %d bets of agency %d, acknowledged were %d", found.counts[id], id, acked)
		}
	}
	r.found = r.atDeath(found)
	if state, err := os.ReadFile(filepath.Join(r.storage, csvledger.StateFile)); err == nil {
		var kept struct{ Phase lottery.Phase }
		if err := json.Unmarshal(state, &kept); err != nil {
			r.fail("after a kill: %v", err)
		}
		r.found.phase = kept.Phase
	}
}

// hear handles a line.
func (r *round) hear(p *process, line string) {
	r.t.Helper()
	said := p.take(line)
	// A process that is killed or cut off in a handshake fails in it.
	handshake := r.transport.secure() && p.id == 0 && said["action"] == "tls_handshake"
	if said["result"] == "fail" && !handshake && (r.mayFail == "" || !strings.Contains(line, r.mayFail)) {
		r.fail("%s says %q", p.Name, line)
	}
	if p.id == 0 {
		r.hearCentral(p, said)
	} else {
		r.hearAgency(p, said)
	}
	if r.central != nil && r.listening {
		r.central.state = r.stage()
	}
	r.stir(p, said)
}

// stage returns how far the central is.
func (r *round) stage() string {
	switch {
	case r.wasDrawn:
		return drawn
	case len(r.complete) == len(r.in.counts):
		return drawing
	case len(r.finished) > 0:
		return waiting
	default:
		return sending
	}
}

func (r *round) hearCentral(p *process, said map[string]string) {
	r.t.Helper()
	switch said["action"] {
	case "listen":
		r.listening = true
	case "recover_ledger":
		r.torn = r.number(said, "torn_bytes")
		r.tally.torn++
		r.tally.tornBytes += r.torn
	case "open_contest":
		if r.found.counts == nil {
			break // the first start
		}
		r.tally.recoveries++
		if bets := r.number(said, "bets"); bets != r.found.rows || r.torn != r.found.torn {
			r.fail("the central comes back with %d bets and %d torn bytes, the ledger had %d and %d", bets, r.torn, r.found.rows, r.found.torn)
		}
	case "acta":
		r.actas++
	case "sorteo":
		r.wasDrawn = true
		r.draws++
	case "contest_drawn":
		r.redrawn = r.redrawn || r.found.phase != lottery.Drawn
		r.wasDrawn = true
	}
}

func (r *round) hearAgency(p *process, said map[string]string) {
	r.t.Helper()
	success := said["result"] == "success"
	switch said["action"] {
	case "connect":
		switch {
		case said["lost"] != "":
			r.tally.losses++
		case !success:
			r.tally.refused++
		}
	case "resume":
		stored, err := strconv.Atoi(said["stored"])
		if err != nil {
			r.fail("%s takes the central for one that does not know RESUME", p.Name)
		}
		if stored < r.acked[p.id] {
			r.fail("the central has %d bets of agency %d, acknowledged were %d", stored, p.id, r.acked[p.id])
		}
		r.acked[p.id] = stored
		p.state = sending
		if stored > 0 {
			r.tally.resumes++
		}
	case "batch_processed":
		_, last, _ := strings.Cut(said["batch"], "-")
		n, err := strconv.Atoi(last)
		if err != nil {
			r.fail("%s says that the batch %q was processed", p.Name, said["batch"])
		}
		r.acked[p.id] = n
	case "batch_processing_complete":
		r.complete[p.id] = true
		p.state = finishing
	case "finished":
		r.finished[p.id] = true
		p.state = waiting
	case "consulta_ganadores":
		if !success {
			// It asks again from the start: what it was told in part is told anew.
			delete(r.told, p.id)
			break
		}
		p.state = drawn
		if n := r.number(said, "cant_ganadores"); n != len(r.told[p.id]) {
			r.fail("%s counts %d winners and names %v", p.Name, n, r.told[p.id])
		}
		if r.told[p.id] == nil {
			r.told[p.id] = []string{}
		}
	case "ganador":
		r.told[p.id] = append(r.told[p.id], said["dni"])
	}
}

func (r *round) number(said map[string]string, key string) int {
	r.t.Helper()
	n, err := strconv.Atoi(said[key])
	if err != nil {
		r.fail("%s: %v", key, err)
	}
	return n
}

// allAcked returns how many bets are known to be stored.
func (r *round) allAcked() (n int) {
	for _, acked := range r.acked {
		n += acked
	}
	return n
}

// strike kills a process after a while, which only makes the moment a random one. A
// process that ends before that is lucky.
func (r *round) strike(p *process, after time.Duration) {
	p.struck = true
	time.AfterFunc(after, func() { p.Signal(syscall.SIGKILL) })
}

// alive reports whether a process can still be killed.
func (r *round) alive(p *process) bool { return p != nil && !p.ended && !p.struck }

// stopCentral sends SIGTERM and expects a clean end, without kills.
func (r *round) stopCentral() {
	r.t.Helper()
	p, stir := r.central, r.stir
	r.stir = func(*process, map[string]string) {}
	defer func() { r.stir = stir }()
	p.Signal(syscall.SIGTERM)
	stuck := time.AfterFunc(stuckTime, func() { p.Signal(syscall.SIGQUIT) })
	defer stuck.Stop()
	for !p.ended {
		switch e := <-r.events; {
		case !e.end && e.from == p: // its last lines may be read after the agencies' ends
			r.hear(p, e.line)
		case !e.end:
			e.from.take(e.line)
		case e.from == p:
			p.ended = true
		}
	}
	if p.ExitCode() != 0 {
		r.fail("after SIGTERM the central exits with %d", p.ExitCode())
	}
}

// judge checks the end of the lottery.
func (r *round) judge() {
	r.t.Helper()
	found, err := r.in.inspect(r.ledger())
	if err != nil {
		r.t.Error(err)
	}
	if found.torn != 0 || !maps.Equal(found.counts, r.in.counts) {
		r.t.Errorf("the ledger has %v bets and %d torn bytes, the agencies have %v", found.counts, found.torn, r.in.counts)
	}
	compare(r.t, "encoding/csv", readCSV(r.t, r.ledger()), r.in.rows)
	for id := range r.in.counts {
		if !slices.Equal(r.told[id], r.in.winners[id]) {
			r.t.Errorf("agency %d was told of the winners %v, expected %v", id, r.told[id], r.in.winners[id])
		}
	}
	switch {
	case r.draws > 1:
		r.t.Errorf("the draw was logged %d times", r.draws)
	case r.draws == 0 && r.redrawn:
		r.tally.silent++
	case r.draws == 0:
		r.tally.unsaid++
	}
}

// prove starts the central of a finished lottery once more, and judges the acta of
// its draw: there is one, it is that of the bets, and killed processes have left
// nothing else.
func (r *round) prove() {
	r.t.Helper()
	r.inspectLedger()
	r.startCentral()
	r.until("the central has the acta", func() bool { return r.actas > 0 && r.listening })
	r.stopCentral()
	entries, err := os.ReadDir(r.storage)
	if err != nil {
		r.t.Fatal(err)
	}
	var files []string
	for _, entry := range entries {
		files = append(files, entry.Name())
	}
	if want := []string{csvledger.ActaFile, csvledger.LedgerFile, csvledger.StateFile}; !slices.Equal(files, want) || r.actas != 1 {
		r.t.Errorf("the folder has the files %v, want %v; the acta was told %d times", files, want, r.actas)
	}
	if said, err := exec.Command(filepath.Join(binFolder, "server"), "--verify", r.storage).CombinedOutput(); err != nil {
		r.t.Errorf("the acta does not prove the draw: %v\n%s", err, said)
	}
}

func (r *round) fail(format string, args ...any) {
	r.t.Helper()
	var all strings.Builder
	for _, id := range slices.Sorted(maps.Keys(r.agencies)) {
		fmt.Fprintln(&all, r.agencies[id])
	}
	state, _ := os.ReadFile(filepath.Join(r.storage, csvledger.StateFile))
	r.t.Fatalf(format+"\n%v\n%v\nacknowledged %v, told %v, state %s\n%v", append(args, r.central, &all, r.acked, r.told, state, r.tally)...)
}
