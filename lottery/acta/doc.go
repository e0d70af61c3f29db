// Package acta makes and checks the record of a draw: what each agency has bet, how
// its betting ended and who has won, with the SHA-256 of the rows that the draw was
// made from. It is a function of the contest, byte for byte: anyone with the ledger
// can make it again, and compare.
//
// It may be signed. docs/acta.md says how it is verified without this program.
package acta
