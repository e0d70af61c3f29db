package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/codec"
	"loteria/internal/process/processtest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// TestRivalPrograms lets two processes speak for one agency at two centrals, with
// the same bets or others. What is acknowledged to either is stored, the stored
// bets are all those of the one that finishes, and the other one is told. In half
// of the rounds centrals are killed meanwhile.
func TestRivalPrograms(t *testing.T) {
	if !long() {
		t.Skip("only in the long form")
	}
	rng := natstest.Rand(t)
	cluster := natstest.StartProcesses(t)
	var sum verdict
	fenced, kills, both := 0, 0, 0
	const rounds = 30
	for round := range rounds {
		o := newOffice(t, cluster, fmt.Sprintf("rivals-%d", round), 1, 2)
		total := 20 + rng.IntN(1500)
		common := [...]int{0, rng.IntN(total), total, total}[rng.IntN(4)]
		tb := newTable(t)
		var rivals []*rival
		for i := range 2 {
			a := tb.newBettor(1, total, func(at int, line string) string {
				if at >= common {
					return fmt.Sprintf("Beto%d%s", i, strings.TrimPrefix(line, "Ana"))
				}
				return line
			})
			rivals = append(rivals, startRival(a, rng, o.addresses(i)))
		}
		if round%2 == 1 {
			for range 4 {
				time.Sleep(upTo(rng, 500*time.Millisecond))
				p := o.centrals[rng.IntN(2)]
				o.kill(p)
				o.start(p)
				kills++
			}
		}
		won := 0
		for i, r := range rivals {
			if code := r.End(); code == 0 {
				won++
			} else if text := r.String(); code != 1 || !strings.Contains(text, "the central has") {
				t.Errorf("round %d: rival %d has not finished, and does not say why: %s", round, i, text)
			}
			fenced += r.fenced
		}
		o.awaitListening()
		rows := o.export()
		for i, r := range rivals {
			v := judge(rows[0], r.rows, r.acked)
			if r.hasWon() {
				sum.add(v)
				if !v.good() || len(rows[0]) != total {
					t.Errorf("round %d: rival %d has finished: %v", round, i, v)
				}
			} else if sum.lost += v.lost; v.lost > 0 {
				t.Errorf("round %d: rival %d: %d of %d acknowledged bets are not stored", round, i, v.lost, v.acked)
			}
		}
		if rivals[0].acked > 0 && rivals[1].acked > 0 {
			both++
		}
		if want := map[bool]int{true: 2, false: 1}[common == total]; won != want {
			t.Errorf("round %d: %d have finished, want %d", round, won, want)
		}
		checkStream(t, cluster, o.stream(), rows)
		o.close()
		if t.Failed() {
			t.Fatalf("round %d: %d bets, of which the first %d are the same", round, total, common)
		}
	}
	t.Logf("%d rounds, acknowledged to both in %d, fenced %d times, %d kills of centrals; %v", rounds, both, fenced, kills, sum)
}

// rival is a process of the client. Its lines are parsed under the lock of its
// program, and the results are read when it has ended.
type rival struct {
	*bettor
	*processtest.Process
	acked  int
	fenced int
}

func startRival(a *bettor, rng *rand.Rand, addresses string) *rival {
	r := &rival{bettor: a}
	watch := func(line string) {
		if strings.Contains(line, "another process speaks for this agency") {
			r.fenced++
		}
		if _, batch, found := strings.Cut(line, "action: batch_processed | result: success"); found {
			if _, last, found := strings.Cut(batch, "batch: "); found {
				last, _, _ = strings.Cut(last, " ")
				_, last, _ = strings.Cut(last, "-")
				r.acked, _ = strconv.Atoi(last)
			}
		}
	}
	args := []string{"--id", strconv.Itoa(a.id), "--server-address", addresses, "--data-dir", a.folder, "--connect-limit", "100000",
		"--batch-max-amount", strconv.Itoa(1 + rng.IntN(50)), "--window", strconv.Itoa(1 + rng.IntN(32))}
	if rng.IntN(2) == 0 {
		args = append(args, "--loop-period", upTo(rng, 3*time.Millisecond).String())
	}
	r.Process = start(a.table.t, watch, "client", args...)
	return r
}

func (r *rival) hasWon() bool { return r.ExitCode() == 0 }

// TestExistingClients lets agencies without RESUME send each batch on a new
// connection, to the centrals in turn. As long as nothing fails, nothing is lost
// and nothing stored twice.
func TestExistingClients(t *testing.T) {
	if !long() {
		t.Skip("only in the long form")
	}
	const agencies, batches = 3, 100
	rng := natstest.Rand(t)
	cluster := natstest.StartProcesses(t)
	o := newOffice(t, cluster, "existing", agencies, 2)
	tb := newTable(t)
	seed := rng.Uint64()
	sent := make([][]lottery.Bet, agencies)
	for i := range agencies {
		tb.running.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for n := range batches {
				bets := ledgertest.Bets(i+1, len(sent[i]), 1+rng.IntN(20))
				sent[i] = append(sent[i], bets...)
				var batch codec.Batch
				for k := range bets {
					batch.RawBets = append(batch.RawBets, bets[k].RawBet())
				}
				if err := askOnce(t.Context(), o.centrals[n%2].address, &batch); err != nil {
					t.Errorf("agency %d: batch %d: %v", i+1, n, err)
					return
				}
			}
			if err := askOnce(t.Context(), o.centrals[i%2].address, &codec.Finished{Agency: strconv.Itoa(i + 1)}); err != nil {
				t.Errorf("agency %d: FINISHED: %v", i+1, err)
			}
		})
	}
	tb.running.Wait()
	rows := o.export()
	var sum verdict
	for i := range agencies {
		v := judge(rows[i], lines(ledgertest.Rows(sent[i]...)), len(sent[i]))
		if sum.add(v); !v.good() {
			t.Errorf("agency %d: %v", i+1, v)
		}
	}
	checkStream(t, cluster, o.stream(), rows)
	o.close()
	t.Logf("%d agencies, %d connections each; %v", agencies, batches+1, sum)
}

// askOnce sends one request on a new connection, and returns an error unless the
// answer is SUCCESS.
func askOnce(ctx context.Context, address string, request codec.Message) error {
	frame, err := codec.AppendFrame(nil, request)
	if err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(stuckTime)); err != nil {
		return err
	}
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	var decoder codec.Decoder
	buffer := make([]byte, codec.MaxFrame)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		answer, _, ok, err := decoder.Next(buffer[:n])
		if err != nil {
			return err
		}
		if ok && answer.Type != codec.TypeSuccess {
			return fmt.Errorf("the answer is %v: %q", answer.Type, answer.Payload)
		}
		if ok {
			return nil
		}
	}
}
