// Package csvledger keeps a contest in a folder: its bets as rows of bets.csv,
// and how each agency's betting has ended in contest.json. It is the default
// [lottery.Ledger]: as fast as the disk, for one central at a time.
//
// Anyone on the machine may remove or cut the files, and no write fails because of
// that. So before any call is answered the ledger checks that bets.csv is still the
// file in the folder and as long as it must be.
//
// All rows that wait go to disk with one write and one fdatasync (group commit);
// rows that come during that time make up the next commit. A failed write or sync
// is permanent: after a failed fsync nothing is known about what the page cache
// still holds (https://lwn.net/Articles/752063/).
package csvledger
