package cluster_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *safeBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Count(b.Bytes(), []byte(text))
}

// TestAllResumeAtOnce starts a central in the middle of a contest, and all
// agencies resume at once. The last message of each is long and must be fetched:
// together they are more than a server keeps for a client, or a client for a
// subscription (64 MiB each).
func TestAllResumeAtOnce(t *testing.T) {
	t.Parallel()
	const agencies = 400
	c := natstest.Start(t, 1)
	config := config(c, agencies)
	config.MaxBytes, config.Patience = 1<<30, answerTime
	a := openCentral(t, config)
	one := ledgertest.Stretch(ledgertest.Bets(1, 0, 3800)...)
	t.Logf("%d bytes of rows each", len(one.Rows))
	var stored sync.WaitGroup
	for i := range agencies {
		stored.Add(1)
		a.Claim(i+1, 0, false, func(account *lottery.Account, err error) {
			if err != nil {
				t.Error(err)
				stored.Done()
				return
			}
			rows := one
			rows.Agency = i + 1
			if _, err := a.Append(rows, account.Mark, func(err error) {
				if err != nil {
					t.Error(err)
				}
				stored.Done()
			}); err != nil {
				t.Error(err)
				stored.Done()
			}
		})
	}
	stored.Wait()
	var log safeBuffer
	config.Log = zerolog.New(&log)
	b := openCentral(t, config)
	begun := time.Now()
	var claimed sync.WaitGroup
	for i := range agencies {
		claimed.Add(1)
		b.Claim(i+1, 0, true, func(account *lottery.Account, err error) {
			if err != nil || int(account.Bets) != one.Bets {
				t.Errorf("agency %d: %+v, %v", i+1, account, err)
			}
			claimed.Done()
		})
	}
	claimed.Wait()
	t.Logf("%d agencies have resumed after %v", agencies, time.Since(begun))
	// A connection that the ledger itself gave up, for lack of answers, tells of a busy
	// machine only.
	if lost := log.count("slow consumer") + log.count(`"action":"connect_ledger","result":"in_progress"`) - log.count(`"action":"reconnect"`); lost > 0 {
		t.Errorf("what the servers answer was too much for the connection: %d lines say so:\n%s", lost, &log.Buffer)
	}
}
