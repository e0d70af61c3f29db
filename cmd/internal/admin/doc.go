// Package admin shows what the central does to those who run it, over HTTP on
// a port of its own: a page that lives, its state as JSON, metrics for
// Prometheus, and whether it is alive and ready.
//
// It only looks. What it counts, it is told by the reactor and by the ledger
// (counters); of the event loops it reads atomic values. Nothing of it holds
// a document or a name.
package admin
