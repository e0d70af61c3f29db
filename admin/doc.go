// Package admin shows what the central does to those who run it, over HTTP on
// a port of its own: a page that lives, its state as JSON, metrics for
// Prometheus, and whether it is alive and ready.
//
// It only looks. What it counts, it is told by the workers and by the ledger's
// writer (tally); of the event loop it reads atomic values. Nothing of it holds
// a document or a name.
package admin
