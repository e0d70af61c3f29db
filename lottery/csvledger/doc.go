// Package csvledger keeps a contest in a folder: its bets as rows of bets.csv,
// and how each agency's betting has ended in contest.json. It is the default
// [lottery.Ledger]: as fast as the disk, for one central at a time.
//
// Whatever rows are waiting go to disk with one write and one fdatasync (group
// commit); rows that come during that time make up the next commit. A failed
// write or sync is for good: after a failed fsync nothing is known about what
// the page cache still holds (https://lwn.net/Articles/752063/).
package csvledger
