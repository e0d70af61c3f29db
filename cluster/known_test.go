package cluster_test

import (
	"testing"
	"time"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/ledgertest"
)

// TestSeen checks that a central reports what another one has stored.
func TestSeen(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 1)
	config := config(c, 3)
	a, b := openCentral(t, config), openCentral(t, config)
	for _, agency := range []int{1, 3} {
		if _, err := a.append(ledgertest.Stretch(ledgertest.Bets(agency, 0, 10*agency)...), a.account(agency).Mark); err != nil {
			t.Fatal(err)
		}
	}
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		b.mu.Lock()
		one, three := b.seen[1], b.seen[3]
		b.mu.Unlock()
		if one == 10 && three == 30 {
			return
		}
		if time.Since(begun) > answerTime {
			t.Fatalf("agencies 1 and 3 are said to have %d and %d bets, want 10 and 30", one, three)
		}
	}
}

// TestResumed resumes an agency at one central: every other one knows, whatever
// comes after it.
func TestResumed(t *testing.T) {
	c := natstest.Start(t, 1)
	config := config(c, 1)
	a, b := openCentral(t, config), openCentral(t, config)
	if a.account(1).Resumed {
		t.Error("nobody has said RESUME")
	}
	v := await(t, "a claim", func(done func(claimed)) {
		a.Claim(1, 0, true, func(stored *lottery.Account, err error) { done(claimed{stored, err}) })
	})
	if v.err != nil || v.stored == nil || !v.stored.Resumed {
		t.Fatalf("the claim tells %+v, %v", v.stored, v.err)
	}
	for turn, s := range []*central{b, a, b} {
		account := s.account(1)
		if !account.Resumed {
			t.Fatalf("turn %d: nobody is said to have said RESUME", turn)
		}
		if _, err := s.append(ledgertest.Stretch(ledgertest.Bets(1, turn, 1)...), account.Mark); err != nil {
			t.Fatal(err)
		}
	}
	b.mustEnd(1)
	if !b.account(1).Resumed {
		t.Error("after the end nobody is said to have said RESUME")
	}
}

// TestUsed opens contests with and without bets.
func TestUsed(t *testing.T) {
	c := natstest.Start(t, 1)
	config := config(c, 2)
	check := func(want bool, what string) *central {
		t.Helper()
		s := openCentral(t, config)
		if s.stored.Used != want {
			t.Errorf("%s: the contest is used: %t", what, s.stored.Used)
		}
		return s
	}
	s := check(false, "new")
	s.account(2)
	check(false, "claimed")
	if _, err := s.append(ledgertest.Stretch(ledgertest.Bets(1, 0, 1)...), s.account(1).Mark); err != nil {
		t.Fatal(err)
	}
	check(true, "a bet")
	s.account(2)
	check(true, "a bet and a claim of another agency")
}

// TestBeginOnALongContest begins on a contest of many messages. It logs how long
// that takes, which must not depend on their number.
func TestBeginOnALongContest(t *testing.T) {
	t.Parallel()
	const agencies, messages = 50, 4000
	c := natstest.Start(t, 1)
	config := config(c, agencies)
	begin := func() time.Duration {
		begun := time.Now()
		s := openCentral(t, config)
		took := time.Since(begun)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		return took
	}
	begin()
	empty := begin()
	s := openCentral(t, config)
	for i := range agencies {
		w := writer{agency: i + 1, window: 1}
		w.write(t, messages/agencies, 1, one(s))
	}
	t.Logf("on an empty contest %v, on one of %d messages %v", empty, s.Health().Messages, begin())
}
