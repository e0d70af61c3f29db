package dataset_test

import (
	"math/bits"
	"math/rand/v2"
)

// source is the generator's only source of chance.
//
// PCG is a published algorithm (PCG-DXSM, https://www.pcg-random.org). Go keeps
// the numbers that it makes of a seed: math/rand/v2 names its generators after
// their algorithms for that reason (https://go.dev/blog/randv2), and has a test
// that they do not change from version to version. How a number below a limit
// is made out of them is written here, so nothing else can move.
type source struct{ pcg *rand.PCG }

func newSource(seed, stream uint64) *source {
	return &source{rand.NewPCG(seed, stream)}
}

// below returns 0 to n-1; n is at least 1. The bias of taking the high half of
// a product is under n/2^64: nothing at these sizes.
func (s *source) below(n int) int {
	hi, _ := bits.Mul64(s.pcg.Uint64(), uint64(n))
	return int(hi)
}

// chance is true perMille times in a thousand.
func (s *source) chance(perMille int) bool { return s.below(1000) < perMille }

// pick is one of the list, each equally likely.
func (s *source) pick(list []string) string { return list[s.below(len(list))] }

// pickCommon is one of the list too, but the first ones are likelier, as with
// real names: the smaller of two draws.
func (s *source) pickCommon(list []string) string {
	return list[min(s.below(len(list)), s.below(len(list)))]
}

// sample is k different numbers below n; k is small beside n.
func (s *source) sample(k, n int) map[int]bool {
	chosen := make(map[int]bool, k)
	for len(chosen) < k {
		chosen[s.below(n)] = true
	}
	return chosen
}
