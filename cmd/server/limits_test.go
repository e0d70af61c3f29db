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

// The default limit of one address is a quarter of all, even when there may be
// fewer; an operator's own number stays.
func TestLimitPerAddress(t *testing.T) {
	for _, test := range []struct{ configured, connections, wanted, want int }{
		{perAddress, 131_072, 131_072, perAddress},
		{perAddress, 20_000, 131_072, 5000},
		{perAddress, 800, 131_072, 200},
		{perAddress, 3, 131_072, 1},
		{perAddress, 200_000, 1_000_000, perAddress},
		{perAddress, 3, 3, perAddress}, // as many as wanted
		{20_000, 800, 131_072, 20_000},
		{10, 800, 131_072, 10},
	} {
		if got := limitPerAddress(test.configured, test.connections, test.wanted); got != test.want {
			t.Errorf("of %d connections instead of %d, an address with %d may have %d, expected %d",
				test.connections, test.wanted, test.configured, got, test.want)
		}
	}
}
