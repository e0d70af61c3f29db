// Package natsledger keeps a contest in a stream of NATS JetStream, which
// replicates it over several servers. Any number of centrals may work on one
// contest at the same time.
//
// A contest has one stream. Each agency's bets are a chain of messages on a
// subject of its own: every message names the sequence number of the one before
// it, which the servers compare before they store it, and says how many bets
// there are then and what their digest is. So the last message of an agency
// alone tells its account, and the rows of bets.csv are the payloads one after
// the other.
//
// docs/cluster.md says what JetStream promises, and how it must be set up.
package natsledger
