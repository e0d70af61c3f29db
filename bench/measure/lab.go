package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"loteria/bench/generator"
	"loteria/bench/process"
)

// BatchSize is how many bets a batch of the load has.
const BatchSize = 100

// Lab is where a program measures.
type Lab struct {
	Ctx      context.Context
	Bin      string // folder of the programs
	Folder   string // on the disk that is measured
	News     io.Writer
	Rounds   int           // of each measurement
	Duration time.Duration // of each load
}

// AddFlags adds the flags of the lab, whose defaults are what it has. programs says
// which are in Bin.
func (l *Lab) AddFlags(flags *pflag.FlagSet, programs string) {
	flags.StringVar(&l.Bin, "bin", l.Bin, "folder of "+programs)
	flags.StringVar(&l.Folder, "folder", l.Folder, "folder on the disk that is measured")
	flags.IntVar(&l.Rounds, "rounds", 5, "how often each is measured; the table has the medians")
	flags.DurationVar(&l.Duration, "duration", l.Duration, "how long the load of a round is")
}

// Check returns an error when a flag has a value that cannot be.
func (l *Lab) Check() error {
	if l.Rounds < 1 || l.Duration <= 0 {
		return errors.New("--rounds and --duration are positive")
	}
	return nil
}

// Prepare makes the lab's folder, and the paths of both folders and the other ones
// absolute, as the programs have working folders of their own. An empty path stays
// empty.
func (l *Lab) Prepare(others ...*string) (err error) {
	for _, path := range append(others, &l.Bin, &l.Folder) {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return os.MkdirAll(l.Folder, 0o755)
}

// InFolder calls do with a folder that it may fill.
func (l *Lab) InFolder(do func(folder string) error) error {
	folder, err := os.MkdirTemp(l.Folder, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	return do(folder)
}

// Load sends bets to the target for a time.
func (l *Lab) Load(target generator.Target, connections, window int) (*generator.Report, error) {
	return generator.Run(l.Ctx, target, generator.Config{
		Connections: connections, Agencies: connections, Window: window, BatchSize: BatchSize,
		Warmup: l.Duration / 4, Duration: l.Duration,
	})
}

// Repeat calls do in rounds, and reports each one.
func (l *Lab) Repeat(what string, do func() error) error {
	for i := range l.Rounds {
		fmt.Fprintf(l.News, "%s, round %d of %d\n", what, i+1, l.Rounds)
		if err := l.Ctx.Err(); err != nil {
			return err
		}
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// End stops the server when what was done with it is done, or kills it when that
// failed with err.
func End(s *process.Server, err error) error {
	if err != nil {
		return errors.Join(err, s.Kill())
	}
	return s.Stop()
}
