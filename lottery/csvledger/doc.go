// Package csvledger keeps a contest in a folder: its bets as rows of bets.csv,
// and how each agency's betting has ended in contest.json. It is the default
// [lottery.Ledger]: as fast as the disk, for one central at a time.
//
// Whoever runs the machine may do to the files what he likes, and no write fails
// of it. So the file of the bets is looked at before anybody is told anything:
// whether it is still the one in the folder, and as long as it has to be.
//
// Whatever rows are waiting go to disk with one write and one fdatasync (group
// commit); rows that come during that time make up the next commit. A failed
// write or sync is for good: after a failed fsync nothing is known about what
// the page cache still holds (https://lwn.net/Articles/752063/).
package csvledger
