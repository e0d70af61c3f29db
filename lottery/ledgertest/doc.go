// Package ledgertest is the suite that every [lottery.Ledger] passes, and a
// ledger in memory that is the reference for it.
package ledgertest
