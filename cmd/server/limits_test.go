package main

import (
	"os"
	"runtime"
	"testing"
)

func TestUseProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	t.Setenv("GOMAXPROCS", "1")
	useProcessors()
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("there are %d processors, expected %d: the environment says how many", n, before)
	}
	os.Unsetenv("GOMAXPROCS") // Setenv restores it
	useProcessors()
	if n := runtime.GOMAXPROCS(0); n != before+spareProcessors {
		t.Errorf("there are %d processors, expected %d more than %d", n, spareProcessors, before)
	}
}
