//go:build !race

package main

// hasDetector is whether this test runs with the race detector.
const hasDetector = false
