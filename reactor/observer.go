package reactor

import "loteria/lottery"

// Observer is told the outcomes of agencies' requests. Its methods are called by
// many goroutines at once and must return at once. WinnersSent is called by
// event loops only, so it must not even wait for a lock.
type Observer interface {
	// Stored says that a BET or BATCH of the agency is durable: how many of
	// its bets are new to the contest, and how many bytes of payload it had.
	Stored(agency, bets, bytes int)
	// Refused says that a request was refused, after that was logged.
	Refused(Refused)
	// WinnersSent says that the agency's winners were written to its connection.
	WinnersSent(agency int)
}

// Refused is a request that was not granted. It holds nothing of a bet's contents.
type Refused struct {
	Action string       // of the log line about it
	Agency int          // that the connection speaks for; 0 when it has named none
	Bets   int          // of a BET or BATCH
	Code   lottery.Code // of the ERROR, or Retry
	Peer   string       // IP address
}

// Retry stands in a Refused for the answer RETRY, which has no code.
const Retry lottery.Code = "retry"

// nobody is an Observer and a Journal that do nothing.
type nobody struct{}

func (nobody) Stored(int, int, int) {}
func (nobody) Refused(Refused)      {}
func (nobody) WinnersSent(int)      {}

func (nobody) EachBet() bool                                                          { return false }
func (nobody) AppendBet(dst []byte, _, _ string, _ bool) []byte                       { return dst }
func (nobody) AppendBatch(dst []byte, _ int) []byte                                   { return dst }
func (nobody) AppendRefusal(dst []byte, _ string, _ int, _, _ string, _ error) []byte { return dst }
func (nobody) AppendEcho(dst []byte, _ string, _ []byte) []byte                       { return dst }
func (nobody) Write([]byte)                                                           {}
func (nobody) HasRoom() bool                                                          { return true }
func (nobody) TryWrite([]byte)                                                        {}
