package main

import (
	"context"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/lottery"
)

// place is where a contest is kept: a folder, or a stream on servers of NATS. Only
// the file of each knows its package; what else the command does is the same
// for both.
type place interface {
	// describe names the place in a line of the log.
	describe(line *zerolog.Event) *zerolog.Event

	// open opens the contest, or begins it for so many agencies. One that is far
	// away waits for its servers until ctx is done, and tells waiting why.
	open(ctx context.Context, agencies int, committed func(lottery.Commit), waiting func(reason error), log zerolog.Logger) (ledger, error)

	// isFar reports whether what is not available now may be so in a moment, with
	// nobody doing anything here.
	isFar() bool

	// read reads the whole contest, also while centrals write to it, and checks
	// it. It calls visit for the stretches in their order, whose memory is only
	// theirs until it returns. The report is right as far as it goes, also with an
	// error.
	read(ctx context.Context, visit func(lottery.Stretch) error) (report, error)

	// check is read without giving the rows to anybody. Where there are several
	// copies of the contest, it reads each.
	check(ctx context.Context) (report, error)

	// isDrawn tells whether the draw is made, without reading the bets.
	isDrawn(ctx context.Context) (bool, error)

	// hold keeps centrals away until release is called, if the place can do that.
	// It is an error when one is there.
	hold() (release func(), err error)

	// empty returns the place for an import to fill, where there must be no
	// contest.
	empty() (target, error)
}

// ledger is an open ledger, with what the command wants beside the contest.
type ledger interface {
	lottery.Ledger

	// describe names the ledger in a line of the log.
	describe(line *zerolog.Event) *zerolog.Event

	// note logs what is to be known about how it was opened.
	note(log zerolog.Logger)

	// hindrance returns what keeps it from its work at the moment, or nil, at once.
	hindrance() error

	// health returns how the servers of a ledger that is far away are, at once.
	health() admin.LedgerHealth

	// durable returns what tells how many bytes of the contest are on disk, or nil
	// when health does.
	durable() func() int64

	// look is called each second, checkpoint each minute.
	look()
	checkpoint() error
}

// target is what an import fills.
type target interface {
	// open begins a contest with the terms of the one that is known, and its times
	// where it may have them.
	open(ctx context.Context, known *report) (lottery.Ledger, error)
	read(ctx context.Context, visit func(lottery.Stretch) error) (report, error)

	// keep makes what was imported the contest, and returns where that is.
	keep() (path string, err error)

	// drop takes away what a failed import has left, as far as that can be done,
	// and returns what is left to do for a person, a sentence without a full stop.
	drop() (advice string)
}

// place returns where the contest is, or will be.
func (c config) place() place {
	if c.ledger.areGiven() {
		return streamOn(c.ledger, c)
	}
	return folder{path: c.folder(), unsynced: c.noSync, reopens: c.reopen}
}

// origin returns where an import takes the contest from.
func (c config) origin() place {
	if c.importFrom.servers.areGiven() {
		return streamOn(c.importFrom.servers, c)
	}
	return folder{path: c.importFrom.folder}
}
