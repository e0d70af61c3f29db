// Package agency is the client of the central: it reads an agency's bets,
// sends them, says that it has finished, and waits for its winners. It knows
// nothing of the ledger or of how a central is built.
//
// A bet takes this way through the package:
//
//	source → rows → fileBets (judged) → sender (batches, frames) → link → central
//	                                     collect (answers, in order)    ←
//
// A central that answers RESUME is sent positions, with several batches in flight,
// and a lost connection is resumed. An existing central, which closes the connection
// on RESUME, gets one batch at a time without positions, as agencies always did.
package agency
