//go:build linux && race

package cmd_test

// raced says whether the programs are built with the race detector: as these
// tests are.
const raced = true
