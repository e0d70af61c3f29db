package main

import (
	"context"

	"github.com/rs/zerolog"
	"loteria/cmd/internal/admin"
	"loteria/lottery"
)

// place is where a contest is kept: a folder, or a stream on NATS servers. Only
// folder.go and stream.go know the packages; the rest of the command is the same
// for both.
type place interface {
	// describe names the place in a line of the log.
	describe(line *zerolog.Event) *zerolog.Event

	// open opens the contest, or begins it with that many agencies. A remote one waits
	// for its servers until ctx is done, and tells waiting why.
	open(ctx context.Context, agencies int, committed func(lottery.Commit), waiting func(reason error), log zerolog.Logger) (ledger, error)

	// isFar reports whether the place is remote: what is unavailable now may become
	// available by itself.
	isFar() bool

	// read reads and checks the whole contest, even while centrals write to it. It
	// calls visit for the stretches in order, whose memory is valid only until visit
	// returns. With an error, the report is right as far as it goes.
	read(ctx context.Context, visit func(lottery.Stretch) error) (report, error)

	// check is read without a visitor. Where the contest has several copies, it reads
	// each.
	check(ctx context.Context) (report, error)

	// isDrawn tells whether the draw is made, without reading the bets.
	isDrawn(ctx context.Context) (bool, error)

	// hold keeps centrals away until release is called, if the place can do that. It
	// fails when a central is there.
	hold() (release func(), err error)

	// empty returns the target of an import. There must be no contest yet.
	empty() (target, error)
}

// ledger is an open ledger, with what else the command needs.
type ledger interface {
	lottery.Ledger

	// describe names the ledger in a line of the log.
	describe(line *zerolog.Event) *zerolog.Event

	// note logs what operators should know of how it was opened.
	note(log zerolog.Logger)

	// hindrance returns at once what keeps it from working, or nil.
	hindrance() error

	// health returns at once the health of a remote ledger's servers.
	health() admin.LedgerHealth

	// durable returns a function that tells the bytes of the contest on disk, or nil
	// when health does.
	durable() func() int64

	// lendTo lets the event loops make commits, if the ledger makes them itself.
	lendTo(lead func(commit func()) bool)

	// look is called each second, checkpoint each minute.
	look()
	checkpoint() error
}

// target is what an import fills.
type target interface {
	// open begins a contest with the terms of known, and its times if the target can
	// keep them.
	open(ctx context.Context, known *report) (lottery.Ledger, error)
	read(ctx context.Context, visit func(lottery.Stretch) error) (report, error)

	// keep makes what was imported the contest, and returns where that is.
	keep() (path string, err error)

	// drop removes what a failed import has left, as far as possible, and returns what
	// an operator must still do, without a full stop.
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
