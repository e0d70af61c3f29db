package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	client "loteria/agency"
	"loteria/internal/certs"
	"loteria/internal/logline"
)

// agency is an agency that plays in this process.
type agency struct {
	id       int
	stored   atomic.Uint64 // bets
	complete atomic.Bool   // all of them are stored

	// The rest belongs to the goroutine that plays, until it has ended.
	batches int
	took    time.Duration // from its start until all bets were stored
	winners int
}

func (a *agency) String() string { return fmt.Sprintf("agency %d", a.id) }

// playAgency sends an agency's bets to a central at one of the addresses, and waits
// for its winners.
func (r *round) playAgency(ctx context.Context, a *agency, addresses string) error {
	begun := time.Now()
	c := client.Config{
		ID: a.id, Address: addresses, Mode: client.ModeBatch,
		DataDir: r.opts.data, BatchMaxAmount: r.opts.batch, Window: 32, LoopPeriod: r.opts.period,
		RequireResume: true, RetryPeriod: 2 * time.Second, RetryLimit: 300, // as the client's
		ConnectLimit: client.DefaultConnectLimit, ConnectTimeout: 5 * time.Second,
		LogAnswers: true,
	}
	if r.opts.tls != "" {
		own := fmt.Sprintf("agency-%d", a.id)
		files := certs.AgencyFiles{Authorities: r.credential("authority.pem"), Certificate: r.credential(own + ".pem"), Key: r.credential(own + "-key.pem")}
		c.TLS = func() (*tls.Config, error) { return files.Read(a.id, time.Now()) }
		c.TLSFiles = client.TLSFiles{Authorities: files.Authorities, Certificate: files.Certificate}
	}
	c.Total = func(bets uint64) { r.bars.SetTotal(a.id-1, bets) }
	c.Progress = func(stored uint64, all bool) {
		if stored > a.stored.Swap(stored) {
			a.batches++
		}
		r.bars.Set(a.id-1, stored, all)
		if all && !a.complete.Swap(true) {
			a.took = time.Since(begun)
			r.screen.detail(a.String(), fmt.Sprintf("%s in %s on disk after %.2f s",
				plural(int(stored), "bet", "bets"), plural(a.batches, "batch", "batches"), a.took.Seconds()))
		}
	}
	c.Winners = func(documents []string) { a.winners += len(documents) }
	log, err := os.Create(filepath.Join(r.dir, fmt.Sprintf("agency-%d.log", a.id)))
	if err != nil {
		return err
	}
	lines := logline.New(log, logline.Text)
	err = client.Run(ctx, c, lines.Logger(r.opts.level))
	if err = errors.Join(err, lines.Close(), log.Close()); err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	r.drawn.Do(func() { r.screen.detail("central", "every agency has finished, the draw is done") })
	r.screen.detail(a.String(), plural(a.winners, "winner", "winners"))
	return nil
}

// credential returns the absolute path of a file with credentials, as a central has
// another working directory.
func (r *round) credential(name string) string {
	path, _ := filepath.Abs(filepath.Join(r.opts.tls, name)) // an empty one is not found
	return path
}
