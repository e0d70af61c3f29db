// Package lottery knows what a bet is and when it is valid, and the rules of a
// contest. It knows nothing of sockets, frames, flags or files.
//
// A [Contest] is one lottery: a fixed set of agencies, their bets, which a [Ledger]
// keeps, and one draw. A bet passes through the package like this:
//
//	RawBet (as written) → Batch (validated and rendered) → Contest (admitted) → Ledger (durable)
package lottery
