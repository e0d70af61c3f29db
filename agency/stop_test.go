package agency

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// A stop in the middle of anything ends the run at once, with ErrStopped, with
// everything closed (TestMain looks for goroutines that are left) and no line
// that says fail; pitfall 13.
func TestStop(t *testing.T) {
	point := nothing
	silent := func(reached chan<- struct{}, upTo byte) func(int, *peer) {
		return func(_ int, p *peer) {
			for {
				kind, payload, ok := p.frame()
				switch {
				case !ok:
					return
				case kind == upTo:
					close(reached)
					p.gone()
					return
				case kind == tResume:
					p.send(point)
				case kind == tBatch:
					first := parseBatch(p.t, payload).rawBets[0]
					p.send(frame(tSuccess, text(first.Document), text(first.Number)))
				case kind == tFinished:
					p.send(finishedOK)
				}
			}
		}
	}
	type phase struct {
		name    string
		closing string // what is closed at least
		// start returns the configuration, and a function that waits until the agency is
		// where it must be stopped.
		start func(t *testing.T) (Config, func(*record))
	}
	phases := []phase{
		{"before the start", "", func(t *testing.T) (Config, func(*record)) {
			return batchConfig(t, refusing(t), sampleRows(3)), func(*record) {}
		}},
		{"pause after a refused connection", "", func(t *testing.T) (Config, func(*record)) {
			return batchConfig(t, refusing(t), sampleRows(3)), func(log *record) {
				log.await(t, "action: connect | result: in_progress")
			}
		}},
		{"pause between batches", "close_connection", func(t *testing.T) (Config, func(*record)) {
			config := batchConfig(t, serve(t, silent(nil, 0)), sampleRows(30))
			config.LoopPeriod = time.Hour
			return config, func(log *record) { log.await(t, "action: batch_processed") }
		}},
		{"pause after RETRY", "", func(t *testing.T) (Config, func(*record)) {
			central := &fake{knowsResume: true, retries: 10}
			config := batchConfig(t, central.start(t), sampleRows(3))
			config.RetryPeriod = time.Hour
			return config, func(log *record) { log.await(t, "action: consulta_ganadores | result: in_progress") }
		}},
		{"write that is not taken", "close_file", func(t *testing.T) (Config, func(*record)) {
			reached := make(chan struct{})
			address := serve(t, func(_ int, p *peer) {
				p.expect(tResume)
				p.send(point)
				p.expect(tBatch)
				close(reached)
				<-t.Context().Done() // and reads nothing
			})
			rows := sampleRows(100_000) // 6 MB
			config := batchConfig(t, address, rows)
			config.BatchMaxAmount, config.Window = 1000, MaxWindow
			return config, func(*record) { <-reached }
		}},
		{"echo", "close_connection", func(t *testing.T) (Config, func(*record)) {
			reached := make(chan struct{})
			address := serve(t, func(_ int, p *peer) {
				_, _ = p.Read(make([]byte, 1))
				close(reached)
				p.gone()
			})
			return echoConfig(address, 3), func(*record) { <-reached }
		}},
		{"pause in echo", "", func(t *testing.T) (Config, func(*record)) {
			address := serve(t, func(_ int, p *peer) {
				line := make([]byte, 100)
				n, _ := p.Read(line)
				p.send(line[:n])
			})
			config := echoConfig(address, 3)
			config.LoopPeriod = time.Hour
			return config, func(log *record) { log.await(t, "action: receive_message | result: success") }
		}},
		{"waiting whether the central speaks", "", func(t *testing.T) (Config, func(*record)) {
			reached := make(chan struct{})
			address := serve(t, func(n int, p *peer) {
				if n == 2 {
					close(reached)
					p.gone()
				}
			})
			return batchConfig(t, address, sampleRows(3)), func(*record) { <-reached }
		}},
	}
	for kind, name := range map[byte]string{tResume: "RESUME", tBatch: "BATCH", tFinished: "FINISHED", tQuery: "a parked query"} {
		phases = append(phases, phase{"answer to " + name, "close_connection", func(t *testing.T) (Config, func(*record)) {
			reached := make(chan struct{})
			config := batchConfig(t, serve(t, silent(reached, kind)), sampleRows(5))
			return config, func(*record) { <-reached }
		}})
	}
	_ = refusing(t) // lets the runtime open what it needs for sockets
	before := descriptors(t)
	for _, phase := range phases {
		t.Run(phase.name, func(t *testing.T) {
			config, reached := phase.start(t)
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			log := newRecord()
			a := testAgency(config, log)
			a.quiet = time.Hour
			if strings.Contains(phase.name, "refused") {
				a.backoff = backoff{time.Hour, time.Hour}
			}
			if phase.name == "before the start" {
				stop()
			}
			ended := make(chan error, 1)
			go func() { ended <- a.run(ctx) }()
			reached(log)
			stop()
			select {
			case err := <-ended:
				if !errors.Is(err, ErrStopped) {
					t.Errorf("the error is %v, expected ErrStopped", err)
				}
			case <-time.After(testLimit):
				t.Fatal("the agency has not stopped")
			}
			log.wantNoFail(t)
			if phase.closing != "" {
				log.await(t, "action: "+phase.closing+" | result: success | client_id: 1")
			}
		})
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, before it were %d", after, before)
	}
}

// A stop in the pause between two batches is not the end of the bets: the log says
// nothing of complete, and the central gets no FINISHED (pitfall 8). The end of the
// pause races with that of the connection.
func TestStopInAPauseCompletesNothing(t *testing.T) {
	for range 50 {
		central := &fake{knowsResume: true}
		config := batchConfig(t, central.start(t), sampleRows(30))
		config.LoopPeriod = time.Hour
		log := newRecord()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, config, log.logger(zerolog.InfoLevel)) }()
		log.await(t, "action: batch_processed")
		cancel()
		if err := <-ended; !errors.Is(err, ErrStopped) {
			t.Fatalf("the run ended with %v", err)
		}
		for _, action := range []string{"batch_processing_complete", "finished"} {
			if lines := log.with("action: " + action + " "); len(lines) > 0 {
				t.Fatalf("one batch of three was sent, and the log has %q", lines)
			}
		}
	}
}

// refusing returns an address that refuses connections.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return listener.Addr().String()
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // there is no /proc to count them in
	}
	return len(entries)
}
