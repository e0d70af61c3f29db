package reactor

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

// patience bounds every wait of these tests; none of them needs it.
const patience = time.Minute

// maxLine is the tests' Config.MaxLine, the default of the command.
const maxLine = 1024

// central is a server under test, with a real contest on a real disk.
type central struct {
	*Server
	t       testing.TB
	folder  string // of the contest
	contest *lottery.Contest
	ledger  *csvledger.Ledger
	// closeContest closes it; can be repeated.
	closeContest func() error

	log  *logBuffer
	stop func() error // stops it and returns what Run returned; can be repeated
}

// anyPort is where centrals under test listen.
const anyPort = "127.0.0.1:0"

// openContest opens the contest in a folder, which the caller closes, and its
// ledger.
func openContest(t testing.TB, folder string, agencies int) (*csvledger.Ledger, *lottery.Contest) {
	t.Helper()
	ledger, err := csvledger.Open(folder, agencies)
	if err != nil {
		t.Fatal(err)
	}
	contest, err := lottery.NewContest(ledger)
	if err != nil {
		t.Fatal(err)
	}
	return ledger, contest
}

// sweepEvery is how often a central that is started next sweeps its sessions.
var sweepEvery = sweepInterval

// gathered is how many bytes may wait for their answer while all connections of a
// central that is started next have one loop. None has that by default, so that each
// test is about several loops.
var gathered = -1

// handshakesGrace is that of a central that is started next.
var handshakesGrace = handshakeGrace

// startUnswept is start of a central whose loops are never woken by a sweep.
func startUnswept(t testing.TB, agencies int, wrap func(Lottery) Lottery) *central {
	t.Helper()
	sweepEvery = time.Hour
	defer func() { sweepEvery = sweepInterval }()
	return start(t, agencies, nil, wrap)
}

// start runs a central for the given number of agencies. configure may change
// its configuration, and wrap its lottery.
func start(t testing.TB, agencies int, configure func(*Config), wrap func(Lottery) Lottery) *central {
	t.Helper()
	return startOn(t, agencies, configure, wrap, listen)
}

// startOn is start with the test's own listeners.
func startOn(t testing.TB, agencies int, configure func(*Config), wrap func(Lottery) Lottery,
	listen func(address string, backlog int) (net.Listener, error),
) *central {
	t.Helper()
	folder := t.TempDir()
	ledger, contest := openContest(t, folder, agencies)
	log := &logBuffer{}
	config := Config{
		Address:        anyPort,
		Backlog:        128,
		Echo:           true,
		Loops:          2,
		MaxConnections: 4096,
		MaxPerAddress:  4096,
		MaxLine:        maxLine,
		FrameTimeout:   time.Hour,
		IdleTimeout:    time.Hour,
		WindowFrames:   1024,
		WindowBytes:    1 << 20,
		MaxWaiting:     64 << 20,
		MaxUnread:      1 << 20,
		StopTimeout:    patience,
		Log:            zerolog.New(log).Level(zerolog.DebugLevel),
	}
	config.Journal = testJournal{log, zerolog.DebugLevel}
	config.LoopLog = config.Log
	if overTLS {
		config.TLS = sameForAll(t)
	}
	if configure != nil {
		configure(&config)
	}
	var l Lottery = contest
	if wrap != nil {
		l = wrap(l)
	}
	server := New(config, l)
	server.listen, server.sweepEvery, server.handshakes.grace = listen, sweepEvery, handshakesGrace
	server.maxGathered = gathered
	if wrap == nil { // or the loop may have to wait for what it should do itself
		ledger.LendTo(server.Lead)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	closeContest := sync.OnceValue(contest.Close)
	var stopped atomic.Bool
	stop := sync.OnceValue(func() error {
		stopped.Store(true)
		cancel()
		err := <-ended
		if e := closeContest(); err == nil {
			err = e
		}
		return err
	})
	t.Cleanup(func() {
		// The result of a stop by the test is for the test to judge.
		if again := stopped.Load(); stop() != nil && !again {
			t.Errorf("stop: %v", stop())
		}
		if t.Failed() {
			t.Logf("log:\n%s", log.String())
		}
	})
	select {
	case <-server.Ready():
	case err := <-ended:
		ended <- err
		t.Fatalf("the server did not start: %v", err)
	}
	return &central{Server: server, t: t, folder: folder, contest: contest, ledger: ledger, closeContest: closeContest, log: log, stop: stop}
}

// rows returns the content of bets.csv.
func (c *central) rows() string {
	c.t.Helper()
	content, err := os.ReadFile(filepath.Join(c.folder, csvledger.LedgerFile))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(content)
}

// expectRows compares bets.csv with the rows of the raw bets.
func (c *central) expectRows(rawBets ...lottery.RawBet) {
	c.t.Helper()
	if got, want := c.rows(), string(rowsOf(rawBets)); got != want {
		c.t.Fatalf("bets.csv holds\n%s\nexpected\n%s", got, want)
	}
}
