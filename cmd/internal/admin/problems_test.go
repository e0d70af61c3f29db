package admin

import (
	"fmt"
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
	"loteria/reactor"
)

// The last problems are kept; repeated ones are one, whatever comes in between.
func TestProblems(t *testing.T) {
	var p problems
	base := reactor.Refused{Action: "apuesta_recibida", Agency: 1, Bets: 3, Code: lottery.Gap, Peer: "10.0.0.1"}
	begin := time.Unix(1000, 0)
	for i := range 4 {
		p.add(base, begin.Add(time.Duration(i)*time.Second))
	}
	got := p.all()
	want := problem{1, begin.Add(3 * time.Second), "apuesta_recibida", 1, lottery.Gap, "10.0.0.1", 12, 4}
	if len(got) != 1 || got[0] != want {
		t.Errorf("kept are %+v, expected %+v", got, want)
	}
	for i, change := range []func(*reactor.Refused){
		func(r *reactor.Refused) { r.Action = "resume" },
		func(r *reactor.Refused) { r.Agency = 2 },
		func(r *reactor.Refused) { r.Code = lottery.Storage },
		func(r *reactor.Refused) { r.Peer = "10.0.0.2" },
	} {
		other := base
		change(&other)
		p.add(other, begin)
		if n := len(p.all()); n != i+2 {
			t.Errorf("after %+v there are %d problems, expected %d", other, n, i+2)
		}
	}
}

// refused returns a refusal that is like no other.
func refused(i int, code lottery.Code, peer string) reactor.Refused {
	return reactor.Refused{Action: "resume", Agency: i, Code: code, Peer: peer}
}

// A client with many problems drives out its own, and nobody else's.
func TestProblemsOfOthersAreKept(t *testing.T) {
	now := time.Unix(1000, 0)
	codes := codec.Codes()
	for name, test := range map[string]struct {
		flood func(i int) reactor.Refused
		kept  int // of the flood's
	}{
		"one stranger, one code":    {func(i int) reactor.Refused { return refused(1000+i, lottery.UnknownAgency, "10.0.0.9") }, maxPerAddress},
		"one stranger, every code":  {func(i int) reactor.Refused { return refused(1000+i, codes[i%len(codes)], "10.0.0.9") }, maxPerAddress},
		"one code, many strangers":  {func(i int) reactor.Refused { return refused(i, codec.TooLong, fmt.Sprint("10.1.0.", i)) }, maxPerCode},
		"the code of one of others": {func(i int) reactor.Refused { return refused(i, lottery.Gap, "10.0.0.9") }, maxPerAddress},
	} {
		t.Run(name, func(t *testing.T) {
			var p problems
			others := []reactor.Refused{
				refused(1, lottery.Gap, "10.0.0.1"), refused(2, lottery.BadNumber, "10.0.0.2"), refused(3, lottery.Fenced, "10.0.0.3"),
				refused(2, lottery.BadName, "10.0.0.2"), refused(2, lottery.Storage, "10.0.0.2"),
			}
			for _, other := range others {
				p.add(other, now)
			}
			for i := range 1000 {
				p.add(test.flood(i), now)
			}
			kept := p.all()
			if len(kept) != len(others)+test.kept {
				t.Fatalf("%d problems are kept, expected %d of others and %d", len(kept), len(others), test.kept)
			}
			for i, other := range others {
				if k := kept[i]; k.Agency != other.Agency || k.Code != other.Code || k.IP != other.Peer {
					t.Errorf("problem %d is %+v, expected %+v", i, k, other)
				}
			}
			if last := kept[len(kept)-1]; last.Number != uint64(len(others)+1000) {
				t.Errorf("the last is %+v, expected the newest", last)
			}
		})
	}
}

// However many there are, of any kind, the number kept is bounded, and the newest
// is among them.
func TestProblemsAreBounded(t *testing.T) {
	var p problems
	codes := codec.Codes()
	for i := range 5000 {
		p.add(refused(i, codes[i*7%len(codes)], fmt.Sprint("10.0.", i%11, ".", i%23)), time.Unix(int64(i), 0))
		kept := p.all()
		if n := len(kept); n > maxProblems || kept[n-1].Agency != i {
			t.Fatalf("%d are kept, the last is %+v", n, kept[n-1])
		}
	}
	perCode, perAddress := map[lottery.Code]int{}, map[string]int{}
	for _, k := range p.all() {
		perCode[k.Code]++
		perAddress[k.IP]++
	}
	for key, n := range perCode {
		if n > maxPerCode {
			t.Errorf("%d are of %s", n, key)
		}
	}
	for key, n := range perAddress {
		if n > maxPerAddress {
			t.Errorf("%d are of %s", n, key)
		}
	}
	if n := len(p.all()); n != maxProblems {
		t.Errorf("%d are kept, expected %d", n, maxProblems)
	}
}

// There is a place for any agency's number and any code.
func TestTallyOfAnything(t *testing.T) {
	counters := newCounters(2)
	for _, agency := range []int{-1, 0, 1, 2, 3, 1 << 40} {
		counters.Stored(agency, 1, 1)
		counters.WinnersSent(agency)
		for _, code := range append(codec.Codes(), reactor.Retry, "nonsense") {
			counters.Refused(reactor.Refused{Agency: agency, Code: code})
		}
	}
	if n := counters.bets(); n != 2 {
		t.Errorf("%d bets are counted, expected one of each expected agency", n)
	}
	for _, code := range append(codec.Codes(), reactor.Retry) {
		if n := counters.refusals[code].Load(); n != 6 {
			t.Errorf("%d refusals with %s are counted, expected 6", n, code)
		}
	}
}
