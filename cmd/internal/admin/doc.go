// Package admin shows operators what the central does, over HTTP on a port of its
// own: a live page, its state as JSON, metrics for Prometheus, and whether it is
// alive and ready.
//
// It is read-only. The reactor and the ledger tell it what it counts (counters); of
// the event loops it reads atomic values. It holds no document and no name.
package admin
