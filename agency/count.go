package agency

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/rs/zerolog"
)

// CountBets returns how many bets a run with this configuration sends in all,
// or 0 for ModeEcho. A file is read and judged as the run does it, in constant
// memory, but without a word in the log. With an error, that of a row which
// would end the run (*RowError) for one, the count is that of the bets before
// it. When ctx ends first, that is the error.
func CountBets(ctx context.Context, config Config) (uint64, error) {
	switch config.Mode {
	case ModeBet:
		return uint64(max(config.LoopAmount, 0)), nil
	case ModeEcho:
		return 0, nil
	}
	source, err := findSource(config.DataDir, config.ID)
	if err != nil {
		return 0, err
	}
	// What is read from a pipe would be missing in the run.
	if info, err := os.Stat(source.path); err == nil && !info.Mode().IsRegular() {
		return 0, fmt.Errorf("count the bets of %s: it is no regular file", source)
	}
	bets, err := newAgency(config, zerolog.Nop()).openFile(ctx, source)
	if err != nil {
		return 0, err
	}
	defer bets.close()
	bets.rows.source = &cancelable{ctx, bets.rows.source}
	for n := uint64(0); ; n++ {
		if _, err := bets.next(); err != nil {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
	}
}

// cancelable is a reader that fails once ctx has ended.
type cancelable struct {
	ctx    context.Context
	source io.Reader
}

func (c *cancelable) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.source.Read(b)
}
