package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"loteria/agency"
	"loteria/internal/process"
)

// askAll asks every central for every agency's winners: all must agree.
func (d *demo) askAll(ctx context.Context) error {
	for id := 1; id <= d.agencies; id++ {
		var first []string // told by the first central
		for i, c := range d.centrals {
			told, err := ask(ctx, id, c)
			if err != nil {
				return fmt.Errorf("agency %d, asking %s: %w", id, c.Name, err)
			}
			slices.Sort(told)
			if i == 0 {
				first = told
			}
			if !slices.Equal(told, first) {
				return fmt.Errorf("%s tells agency %d the winners %q, and %s told %q", c.Name, id, told, d.centrals[0].Name, first)
			}
		}
	}
	say("cluster", "every central tells the same winners")
	return nil
}

// ask returns an agency's winners as a central tells them.
func ask(ctx context.Context, id int, of *process.Central) (winners []string, err error) {
	config := agency.Config{
		ID: id, Address: of.Address, Mode: agency.ModeWinners, RequireResume: true,
		RetryPeriod: time.Second, RetryLimit: 100, ConnectTimeout: 5 * time.Second, ConnectLimit: 1,
		Winners: func(documents []string) { winners = append(winners, documents...) },
	}
	return winners, agency.Run(ctx, config, zerolog.Nop())
}
