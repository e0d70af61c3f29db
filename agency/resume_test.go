package agency

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loteria/lottery"
)

// withStored gives the central rows of agency 1 from an earlier run.
func (f *fake) withStored(rows []string) *fake {
	for _, row := range rows {
		f.rows = append(f.rows, "1,"+row+"\r\n"...)
		f.ends = append(f.ends, len(f.rows))
	}
	return f
}

// nowHas gives the central these rows instead of those that it has.
func (f *fake) nowHas(rows []string) {
	f.rows, f.ends = nil, nil
	f.withStored(rows)
}

// An agency that is started again sends what is missing, and nothing twice, wherever
// the last run ended; pitfall 7: a repeated FINISHED does no harm.
func TestStartedAgain(t *testing.T) {
	rows := sampleRows(25)
	for _, stored := range []int{0, 1, 9, 10, 11, 24, 25} {
		t.Run(fmt.Sprint(stored), func(t *testing.T) {
			central := (&fake{knowsResume: true}).withStored(rows[:stored])
			log := completed(t, batchConfig(t, central.start(t), rows))
			central.wantAll(rows)
			sent := 0
			for _, n := range central.sizes() {
				sent += n
			}
			if sent != 25-stored {
				t.Errorf("%d bets were sent, %d were missing", sent, 25-stored)
			}
			log.await(t, "action: batch_processing_complete | result: success | client_id: 1 | processed: 25/25")
		})
	}
}

// A central that has other bets, or more, than the file gets nothing.
func TestOtherBets(t *testing.T) {
	rows := sampleRows(25)
	other := slices.Clone(rows[:12])
	other[3] = "Ana,Paz,1,2000-01-01,1"
	tests := []struct {
		name   string
		stored []string
		says   string
	}{
		{"other bets", other, "the central has 12 bets of this agency, and they are not the first 12 of"},
		{"another order", []string{rows[1], rows[0]}, "the central has 2 bets of this agency, and they are not"},
		{"more bets", sampleRows(26), "the central has 26 bets of this agency"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := (&fake{knowsResume: true}).withStored(test.stored)
			log, err := runAgency(t, batchConfig(t, central.start(t), rows))
			wantFailure(t, log, err, "resume", test.says, "agency-1.csv", "nothing is sent")
			central.wantUnfinished()
			if got := central.sizes(); len(got) > 0 {
				t.Errorf("batches of %v bets were sent", got)
			}
		})
	}
}

// An invalid row ends the run even if the central has stored the bets around it.
func TestInvalidRowAmongStored(t *testing.T) {
	rows := sampleRows(25)
	central := (&fake{knowsResume: true}).withStored(rows[:20])
	broken := slices.Clone(rows)
	broken[7] = "Ana,Paz"
	log, err := runAgency(t, batchConfig(t, central.start(t), broken))
	wantFailure(t, log, err, "read_file", "line 8")
}

// The central dies before or after it has stored a batch, at every batch: each
// bet is stored once.
func TestLostConnections(t *testing.T) {
	tests := []struct {
		name string
		hook func(f *fake)
	}{
		{"before a batch is stored", func(f *fake) {
			asked := map[int]bool{}
			f.onBatch = func(n int) ([]byte, bool) {
				lost := !asked[n]
				asked[n] = true
				return nil, lost
			}
		}},
		{"after a batch is stored", func(f *fake) { f.afterBatch = func(int) bool { return true } }},
		{"in the middle of an answer", func(f *fake) {
			asked := map[int]bool{}
			f.onBatch = func(n int) ([]byte, bool) {
				if asked[n] {
					return nil, false
				}
				asked[n] = true
				return frame(tSuccess, text("30904465"), text("1"))[:7], true
			}
		}},
	}
	for _, test := range tests {
		for _, window := range []int{1, 2, 7, 100} {
			t.Run(fmt.Sprint(test.name, ", window ", window), func(t *testing.T) {
				central := &fake{knowsResume: true}
				test.hook(central)
				rows := sampleRows(95)
				config := batchConfig(t, central.start(t), rows)
				config.Window = window
				completed(t, config)
				central.wantAll(rows)
			})
		}
	}
}

// Connections that are lost without a bet getting through are not replaced for ever.
func TestLostWithoutProgress(t *testing.T) {
	central := (&fake{knowsResume: true}).withStored(nil)
	central.onBatch = func(int) ([]byte, bool) { return nil, true }
	log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(25)))
	wantFailure(t, log, err, "connect", "given up after 6 connections without progress", "lost")
	if central.conns != 6 {
		t.Errorf("%d connections, expected 6", central.conns)
	}
}

// A central that is lost on FINISHED is sent it again.
func TestLostOnFinished(t *testing.T) {
	central := &fake{knowsResume: true}
	var finishes atomic.Int32
	central.onFrame = func(_ int, _ *peer, kind byte) bool { return kind == tFinished && finishes.Add(1) == 1 }
	rows := sampleRows(25)
	log := completed(t, batchConfig(t, central.start(t), rows))
	central.wantAll(rows)
	if got := log.with("action: batch_processing_complete"); len(got) != 1 {
		t.Errorf("the log says %q", got)
	}
}

// A central that dies on the first RESUMEs, or has no room for a connection,
// is not taken for one that does not know RESUME: that would store its bets
// twice.
func TestNotAnExistingCentral(t *testing.T) {
	rows := sampleRows(25)
	tests := []struct {
		name  string
		first func(n int, p *peer) (hangUp bool)
	}{
		{"dies on RESUME", func(n int, p *peer) bool {
			if n <= resumeClosings-1 {
				p.expect(tResume)
				return true
			}
			return false
		}},
		{"has no room", func(n int, p *peer) bool { return n <= 5 }},
		{"has no room and dies", func(n int, p *peer) bool {
			if n == 1 || n == 4 {
				p.expect(tResume)
			}
			return n <= 5
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := (&fake{knowsResume: true, onConn: test.first}).withStored(rows[:15])
			completed(t, batchConfig(t, central.start(t), rows))
			central.wantAll(rows)
		})
	}
}

// A RETRY to RESUME, or one before any request, makes the agency wait.
func TestRetriedResume(t *testing.T) {
	rows := sampleRows(5)
	central := &fake{knowsResume: true}
	central.onConn = func(n int, p *peer) bool {
		if n == 2 {
			p.expect(tResume)
		}
		if n <= 2 {
			p.send(retry)
			p.gone()
		}
		return n <= 2
	}
	completed(t, batchConfig(t, central.start(t), rows))
	central.wantStored(rows)
}

// As many batches are in flight as the window allows, and no more.
func TestWindow(t *testing.T) {
	for _, window := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			rows := sampleRows(100)
			var once sync.Once
			address := serve(t, func(_ int, p *peer) {
				var waiting [][]byte
				p.answer(func(payload []byte) {
					first := parseBatch(t, payload).rawBets[0]
					waiting = append(waiting, frame(tSuccess, text(first.Document), text(first.Number)))
					if len(waiting) < window {
						return
					}
					once.Do(func() {
						_ = p.SetReadDeadline(soon())
						if n, _ := p.Read(make([]byte, 1)); n > 0 {
							t.Errorf("more than %d batches came without an answer", window)
						}
						_ = p.SetReadDeadline(never)
					})
					p.send(waiting...) // several answers in one write
					waiting = nil
				})
			})
			config := batchConfig(t, address, rows)
			config.Window = window
			completed(t, config)
		})
	}
}

// A central that writes each answer before it reads on, and whose answers and
// requests together fill the buffers of both sides, does not deadlock with an agency
// that reads while it writes.
func TestFullBuffersBothWays(t *testing.T) {
	const frames, betsInFrame = 3000, 14 // 24 MB, more than two sockets hold
	name := strings.Repeat("a", lottery.MaxName)
	rows := slices.Repeat([]string{name + "," + name + ",1,2000-01-01,1"}, frames*betsInFrame)
	answer := frame(tSuccess, text("1"), text(strings.Repeat("9", 8000)))
	address := serve(t, func(_ int, p *peer) { p.answer(func([]byte) { p.send(answer) }) })
	config := batchConfig(t, address, rows)
	config.BatchMaxAmount = 1000
	config.Window = MaxWindow
	completed(t, config)
}

// Answers that do not fit the request end the run with an error that names them.
func TestWrongAnswers(t *testing.T) {
	const badSuccess = "lengths do not add up"
	noDelimiter := frame(tSuccess, text("1"), text("1"))
	noDelimiter[len(noDelimiter)-1] = 0
	tests := []struct {
		name   string
		answer []byte
		says   string
	}{
		{"longer than the protocol allows", []byte{0, 0, 0x20, 0x01, tSuccess}, "too_long"},
		{"unknown type", frame(0x42), "unknown_type"},
		{"no delimiter", noDelimiter, "bad_frame"},
		{badSuccess, frame(tSuccess, []byte{0, 9, '1'}), "bad_frame"},
		{"another request's", winnersFrame(tWinners), "the central answered WINNERS to"},
		{"an agency's", frame(tQuery, text("1")), "the central answered WINNERS_QUERY to"},
	}
	for _, phase := range []byte{tResume, tBatch, tFinished, tQuery} {
		for _, test := range tests {
			if phase == tQuery && test.answer[4] == tWinners || phase == tFinished && test.name == badSuccess {
				continue // this one is right, or as good as right
			}
			t.Run(fmt.Sprint(phase, " ", test.name), func(t *testing.T) {
				central := &fake{knowsResume: true}
				central.onFrame = func(_ int, p *peer, kind byte) bool {
					if kind == phase {
						p.send(test.answer)
						p.gone()
					}
					return kind == phase
				}
				_, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(25)))
				says := test.says
				if phase != tBatch && test.name == badSuccess {
					says = "the central answered SUCCESS to"
				}
				if err == nil || !contains(err, says) {
					t.Errorf("the error is %v, expected %q", err, says)
				}
			})
		}
	}
}

// An answer that acknowledges another batch is a failure.
func TestAnswerToAnotherBatch(t *testing.T) {
	central := &fake{knowsResume: true}
	central.onBatch = func(n int) ([]byte, bool) {
		if n == 2 {
			return frame(tSuccess, text("1"), text("1")), false
		}
		return nil, false
	}
	log, err := runAgency(t, batchConfig(t, central.start(t), sampleRows(25)))
	wantFailure(t, log, err, "send_bets", `document "1",`, "11-20")
	central.wantUnfinished()
}

// A refused FINISHED is a failure with its code, and says what other_bets means.
func TestRefusedFinished(t *testing.T) {
	for code, more := range map[lottery.Code]string{
		lottery.Incomplete: "",
		lottery.OtherBets:  ": it has stored other bets of this agency",
	} {
		t.Run(string(code), func(t *testing.T) {
			central := &fake{knowsResume: true}
			central.onFrame = func(_ int, p *peer, kind byte) bool {
				if kind == tFinished {
					p.send(refusal(string(code)))
					p.gone()
				}
				return kind == tFinished
			}
			log, err := runAgency(t, batchConfig(t, central.start(t), nil))
			wantFailure(t, log, err, "finished", "refused FINISHED: "+string(code)+more)
		})
	}
}

// A central that has lost bets is sent them again, with a warning.
func TestCentralHasLostBets(t *testing.T) {
	rows := sampleRows(45)
	for name, test := range map[string]struct {
		at   int      // the batch at which the central is lost, or FINISHED
		left []string // what it comes back with
	}{
		"an older copy":   {4, rows[:13]},
		"another contest": {3, nil},
		"on FINISHED":     {0, rows[:44]},
	} {
		t.Run(name, func(t *testing.T) {
			central := &fake{knowsResume: true}
			restored := false
			restore := func() (lost bool) {
				lost, restored = !restored, true
				if lost {
					central.nowHas(test.left)
				}
				return lost
			}
			central.onBatch = func(n int) ([]byte, bool) { return nil, n == test.at && restore() }
			central.onFrame = func(_ int, _ *peer, kind byte) bool {
				central.mu.Lock()
				defer central.mu.Unlock()
				return kind == tFinished && test.at == 0 && restore()
			}
			config := batchConfig(t, central.start(t), rows)
			config.Window = 1
			var said told
			said.watch(&config)
			log := completed(t, config)
			central.wantAll(rows)
			want := fmt.Sprintf("action: resume | result: in_progress | client_id: 1 | stored: %d | acknowledged: ", len(test.left))
			if got := log.with("action: resume | result: in_progress"); len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("the log says %q, expected %q", got, want)
			}
			if !slices.Contains(said.stored, uint64(len(test.left))) || said.stored[len(said.stored)-1] != 45 {
				t.Errorf("the run said %v", said.stored)
			}
		})
	}
}

// A central that comes back with other bets is sent nothing, and the log does not
// warn of lost bets.
func TestCentralHasOtherBetsNow(t *testing.T) {
	central := &fake{knowsResume: true}
	central.onBatch = func(n int) ([]byte, bool) {
		if n < 3 {
			return nil, false
		}
		central.nowHas([]string{"Ana,Paz,1,2000-01-01,1"})
		return nil, true
	}
	config := batchConfig(t, central.start(t), sampleRows(25))
	config.Window = 1
	log, err := runAgency(t, config)
	wantFailure(t, log, err, "resume", "the central has 1 bets of this agency, and they are not the first 1")
	if got := log.with("action: resume | result: in_progress"); len(got) > 0 {
		t.Errorf("the log says %q", got)
	}
}

// A central that has answered RESUME once is no existing one, however often it
// closes connections on RESUME later.
func TestNeverAgainTakenForExisting(t *testing.T) {
	rows := sampleRows(25)
	central := &fake{knowsResume: true}
	central.onBatch = func(n int) ([]byte, bool) { return nil, n == 2 }
	central.onFrame = func(n int, _ *peer, _ byte) bool { return n > 1 }
	config := batchConfig(t, central.start(t), rows)
	config.Window, config.ConnectLimit = 1, 3*resumeClosings
	log, err := runAgency(t, config)
	wantFailure(t, log, err, "connect", "given up after 10 connections without progress")
	central.wantStored(rows[:10])
}

// Taking a central for an existing one logs a warning that says what it costs.
func TestFallbackIsSaid(t *testing.T) {
	central := &fake{}
	log := completed(t, batchConfig(t, central.start(t), sampleRows(5)))
	if got := log.with("action: resume | result: success"); len(got) != 1 || log.level(got[0]) != "warn" ||
		!strings.Contains(got[0], "sends all bets again") || !strings.Contains(got[0], "--require-resume") {
		t.Errorf("the log says %q, expected a warning", got)
	}
}

// A central that is out of reach between its closings is one that starts and
// stops, not an existing one.
func TestClosingsAroundARestart(t *testing.T) {
	address := ""
	closeOnce := func() {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		address = listener.Addr().String()
		_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(testLimit))
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		(&peer{conn, t}).expect(tResume)
		listener.Close() // first, so that the next call finds nobody
		conn.Close()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	listener.Close()
	config := batchConfig(t, address, sampleRows(5))
	config.ConnectLimit = 1_000_000
	ctx, stop := context.WithCancel(t.Context())
	log := newRecord()
	ended := make(chan error, 1)
	go func() { ended <- testAgency(config, log).run(ctx) }()
	for n := 1; n <= resumeClosings+1; n++ {
		closeOnce()
		log.awaitCount(t, "action: connect | result: in_progress | client_id: 1 | server_address: ", len(log.with("action: connect | result: in_progress | client_id: 1 | server_address: "))+1)
	}
	stop()
	if err := <-ended; !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
	if got := log.with("action: resume | result: success"); len(got) > 0 {
		t.Errorf("the log says %q", got)
	}
}

// The log now and then names what the agency waits for.
func TestWaitingIsSaid(t *testing.T) {
	for kind, want := range map[byte]string{
		tResume:   "action: resume | result: in_progress | client_id: 1 | server_address: %s | waiting_for: the answer to RESUME | since: 2",
		tBatch:    "action: send_bets | result: in_progress | client_id: 1 | server_address: %s | waiting_for: the answer to bets 1-10 | since: 2",
		tFinished: "action: finished | result: in_progress | client_id: 1 | server_address: %s | waiting_for: the answer to FINISHED | since: 2",
		tQuery:    "action: consulta_ganadores | result: in_progress | client_id: 1 | server_address: %s | waiting_for: the draw | since: 2",
	} {
		t.Run(want[8:20], func(t *testing.T) {
			central := &fake{knowsResume: true}
			said := make(chan struct{})
			goOn := sync.OnceFunc(func() { close(said) })
			defer goOn() // also when nothing is said
			central.reply = func(p *peer, got byte, answer []byte) bool {
				if got == kind {
					p.send(answer[:3]) // half an answer is none
					<-said
					answer = answer[3:]
				}
				p.send(answer)
				return false
			}
			address := central.start(t)
			log := newRecord()
			rows := sampleRows(25)
			a := testAgency(batchConfig(t, address, rows), log)
			a.remind.first, a.remind.every = time.Millisecond, 2*time.Millisecond
			ended := make(chan error, 1)
			go func() { ended <- a.run(t.Context()) }()
			log.awaitCount(t, fmt.Sprintf(want, address), 3)
			goOn()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			log.wantNoFail(t)
			central.wantAll(rows)
		})
	}
}

var never time.Time

// soon is the deadline of a read that is expected to find nothing.
func soon() time.Time { return time.Now().Add(50 * time.Millisecond) }

// A fenced agency connects again, sends RESUME, and goes on from there: with the
// same bets it finishes, with others it stops.
func TestFenced(t *testing.T) {
	rows, others := sampleRows(25), []string{"Ana,Paz,1,2000-01-01,1"}
	for name, test := range map[string]struct {
		fences byte     // what is answered ERROR fenced, the first time
		after  []string // what the other process stores
		says   string   // the failure, if it is one
	}{
		"nobody has stored anything":   {fences: tBatch},
		"the other has the same bets":  {fences: tBatch, after: rows[:17]},
		"the other has all of them":    {fences: tBatch, after: rows},
		"the other has other bets":     {fences: tBatch, after: others, says: "they are not the first 1 of"},
		"at the end":                   {fences: tFinished},
		"the other has finished first": {fences: tFinished, after: rows},
	} {
		t.Run(name, func(t *testing.T) {
			central := &fake{knowsResume: true}
			var fenced atomic.Bool
			central.onFrame = func(_ int, p *peer, kind byte) bool {
				if kind != test.fences || fenced.Swap(true) {
					return false
				}
				if test.after != nil {
					central.mu.Lock()
					central.nowHas(test.after)
					central.mu.Unlock()
				}
				p.send(refusal("fenced"))
				p.gone() // it does not go on with this connection
				return true
			}
			log, err := runAgency(t, batchConfig(t, central.start(t), rows))
			if all := strings.Join(log.all(), "\n"); strings.Count(all, "another process speaks for this agency") != 1 {
				t.Errorf("the log does not say once why the agency is connected again:\n%s", all)
			}
			if test.says != "" {
				wantFailure(t, log, err, "resume", test.says)
				central.wantUnfinished()
				central.wantStored(others)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			log.wantNoFail(t)
			central.wantAll(rows)
		})
	}
}
