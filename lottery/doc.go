// Package lottery knows what a bet is and when it is valid, keeps the ledger
// of bets on disk, and makes the draw. It knows nothing of sockets, frames or
// flags.
//
// A [Contest] is one lottery: a fixed set of agencies, their bets in a
// [Ledger], and one draw. The way of a bet through the package is
//
//	Slip (as written) → Batch (judged and rendered) → Contest (admitted) → Ledger (on disk)
package lottery
