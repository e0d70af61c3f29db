package agency

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"loteria/codec"
	"loteria/lottery"
)

// Mode is what an agency does.
type Mode string

// The agency's modes.
const (
	ModeBatch   Mode = "batch"   // sends its file in batches
	ModeBet     Mode = "bet"     // sends one bet, several times
	ModeEcho    Mode = "echo"    // sends lines that come back
	ModeWinners Mode = "winners" // sends nothing and asks for its winners
)

// DefaultConnectLimit is a Config.ConnectLimit that lets a central be away for at
// least three minutes, usually six to seven: enough to restart it, or its machine.
const DefaultConnectLimit = 200

// MaxWindow bounds Config.Window: more batches in flight than this hold memory
// on both sides and make nothing faster.
const MaxWindow = 4096

// Config says who an agency is and what it does. Nothing is assumed: every field
// that the mode uses must be set. The command has the defaults.
type Config struct {
	ID int // the agency's number, 1 and up
	// Address is where the central is, host:port, or several of them separated by
	// commas: the next one is called when one does not answer, or loses connections.
	// They must all lead to the same lottery.
	Address string
	Mode    Mode
	// TLS, if set, returns the configuration by which the agency and the central prove
	// who they are. It is called for each connection, and its error ends the run.
	// Without a server name in it, the host of the address is used. Nil means no TLS.
	// Over TLS, at least 1.3, no central is taken for an existing one.
	TLS      func() (*tls.Config, error)
	TLSFiles TLSFiles // that errors name

	// LoopAmount is how many bets (ModeBet) or lines (ModeEcho) are sent, 0
	// and up. LoopPeriod is the pause between two messages in every mode, 0
	// for none; a central may close a connection that is silent for long.
	LoopAmount int
	LoopPeriod time.Duration

	// DataDir is the folder with agency-N.csv, or with a zip that holds it
	// (ModeBatch).
	DataDir string
	// BatchMaxAmount is how many bets a batch has at most, 1 and up; the
	// frame's limit of codec.MaxFrame bytes may end it earlier (ModeBatch).
	BatchMaxAmount int
	// Window is how many batches may wait for their answer, 1 to MaxWindow.
	// An existing central always gets one at a time (ModeBatch).
	Window int
	// SkipInvalid reports rows that are not valid bets and leaves them out. Otherwise
	// they end the run before anything is sent (ModeBatch).
	SkipInvalid bool
	// AllowEmpty accepts a file without a bet. Otherwise it ends the run: most such
	// files are of another format, or not yet copied (ModeBatch).
	AllowEmpty bool

	// RequireResume makes a central that does not answer RESUME count as out of order.
	// Otherwise it is taken for an existing central, and gets everything from the first
	// bet on. A proxy that closes connections by itself can make a new central look
	// like one.
	RequireResume bool

	// Bet is what ModeBet sends. Its Agency is not used.
	Bet lottery.RawBet

	// RetryPeriod is the pause before a request that was answered RETRY is sent again,
	// and RetryLimit how often that is done before the run fails.
	RetryPeriod time.Duration
	RetryLimit  int
	// ConnectLimit is how often in a row the central is called, at all of its
	// addresses each time, before it counts as unreachable (0 is once, too),
	// and how many connections in a row to each may be lost without a bet
	// getting through; ConnectTimeout bounds each call, and the handshake of TLS.
	ConnectLimit   int
	ConnectTimeout time.Duration

	// Total, if set, is told how many bets there are in all, before the first is sent
	// (not in ModeEcho).
	Total func(bets uint64)
	// Progress, if set, is told how far the run is, instead of the log lines about each
	// answer (not in ModeEcho, which stores nothing): with the bets that the central
	// has, first as soon as that is known, and then with each answer. The number only
	// falls when the central has lost bets; all says that it has reached the last bet.
	// Calls come one after the other, and sending waits for them. LogAnswers keeps the
	// log lines all the same.
	Progress   func(stored uint64, all bool)
	LogAnswers bool
	// Winners, if set, is told the winners' documents, instead of their log lines at
	// level DEBUG: each winner once, in the central's order, in parts as they come.
	// Without it they are only counted, so that an endless list costs no memory. The
	// texts are the central's, and may hold anything.
	Winners func(documents []string)
}

// Validate returns an error that names the first setting that cannot be used.
func (c *Config) Validate() error {
	if c.ID < 1 {
		return fmt.Errorf("id: %d is no agency's number, which is 1 or more", c.ID)
	}
	if _, err := ParseAddresses(c.Address); err != nil {
		return fmt.Errorf("server.address: %w", err)
	}
	switch {
	case c.LoopPeriod < 0:
		return fmt.Errorf("loop.period: %v is negative", c.LoopPeriod)
	case c.RetryPeriod < 0:
		return fmt.Errorf("retry.period: %v is negative", c.RetryPeriod)
	case c.RetryLimit < 0:
		return fmt.Errorf("retry.limit: %d is negative", c.RetryLimit)
	case c.ConnectLimit < 0:
		return fmt.Errorf("connect.limit: %d is negative", c.ConnectLimit)
	case c.ConnectTimeout <= 0:
		return fmt.Errorf("connect.timeout: %v is not positive", c.ConnectTimeout)
	}
	switch c.Mode {
	case ModeBatch:
		return c.validateBatch()
	case ModeBet:
		if err := c.checkBet(); err != nil {
			return err
		}
		return c.validateLoop()
	case ModeEcho:
		if c.TLS != nil {
			return errors.New("mode: echo goes only without TLS: call the central's port without it")
		}
		return c.validateLoop()
	case ModeWinners:
		return nil
	}
	return fmt.Errorf("mode: %q is none of %s, %s, %s, %s", c.Mode, ModeBatch, ModeBet, ModeEcho, ModeWinners)
}

func (c *Config) validateLoop() error {
	if c.LoopAmount < 0 {
		return fmt.Errorf("loop.amount: %d is negative", c.LoopAmount)
	}
	return nil
}

func (c *Config) validateBatch() error {
	if c.DataDir == "" {
		return errors.New("data.dir: is empty")
	}
	if c.BatchMaxAmount < 1 {
		return fmt.Errorf("batch.maxAmount: %d, must be at least 1", c.BatchMaxAmount)
	}
	if c.Window < 1 || c.Window > MaxWindow {
		return fmt.Errorf("batch.window: %d, must be 1 to %d", c.Window, MaxWindow)
	}
	return nil
}

// checkBet judges the configured bet and names the variable that is wrong.
func (c *Config) checkBet() error {
	raw := c.raw()
	_, err := raw.Bet()
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", variable(raw, err), err)
}

// raw returns the configured bet with the agency's number in front.
func (c *Config) raw() lottery.RawBet {
	raw := c.Bet
	raw.Agency = fmt.Sprint(c.ID)
	return raw
}

// variable returns the environment variable whose value broke the rule.
func variable(raw lottery.RawBet, err error) string {
	switch {
	case errors.Is(err, lottery.BadDocument):
		return "DOCUMENTO"
	case errors.Is(err, lottery.BadBirthdate):
		return "NACIMIENTO"
	case errors.Is(err, lottery.BadNumber):
		return "NUMERO"
	case !errors.Is(err, lottery.BadName):
		return "CLI_ID"
	}
	raw.LastName = "x" // a name that breaks no rule
	if _, err := raw.Bet(); errors.Is(err, lottery.BadName) {
		return "NOMBRE"
	}
	return "APELLIDO"
}

// positionSize is what a position adds to the size of a batch, in bytes.
const positionSize = 8

// emptyBatchSize returns the size in bytes of the frame of a batch without
// bets.
func emptyBatchSize(withPosition bool) int {
	if withPosition {
		return codec.EmptyBatchSize
	}
	return codec.EmptyBatchSize - positionSize
}
