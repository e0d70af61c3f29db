package admin

import (
	"testing"
	"time"

	"loteria/codec"
	"loteria/lottery"
	"loteria/reactor"
)

// The last problems are kept; the same again and again is one, whatever comes in
// between.
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
	for i := range 2 * maxProblems {
		base.Agency = i
		p.add(base, begin)
	}
	got = p.all()
	if n := len(got); n != maxProblems || got[n-1].Number != uint64(3+2*maxProblems) || got[n-1].Agency != 2*maxProblems-1 {
		t.Errorf("kept are %d, the last is %+v", n, got[n-1])
	}
}

// Whatever the number of an agency and the code, there is a place for it.
func TestTallyOfAnything(t *testing.T) {
	tally := newTally(2)
	for _, agency := range []int{-1, 0, 1, 2, 3, 1 << 40} {
		tally.Stored(agency, 1, 1)
		tally.Told(agency)
		for _, code := range append(codec.Codes(), reactor.Retry, "nonsense") {
			tally.Refused(reactor.Refused{Agency: agency, Code: code})
		}
	}
	if n := tally.bets(); n != 2 {
		t.Errorf("%d bets are counted, expected one of each expected agency", n)
	}
	for _, code := range append(codec.Codes(), reactor.Retry) {
		if n := tally.refusals[code].Load(); n != 6 {
			t.Errorf("%d refusals with %s are counted, expected 6", n, code)
		}
	}
}
