//go:build race

package acta_test

// hasDetector is whether this test runs with the race detector.
const hasDetector = true
