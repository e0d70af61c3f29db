package reactor

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// When all peers leave too much unread, one that has left most is cut off, on
// whichever loop, and not the one that happens to be answered.
func TestWhoOwesMostIsCut(t *testing.T) {
	withLoops(t, func(t *testing.T, configure func(*Config)) {
		c := start(t, 1, func(config *Config) {
			configure(config)
			config.WindowBytes, config.MaxUnread, config.MaxWaiting = 8<<20, 8<<20, 2<<20
		}, nil)
		long := document(string(bytes.Repeat([]byte("1"), 8000)))
		f, refused := betFrame(long), errorFrame("bad_document", long)
		little, much := c.dial(), c.dial()
		sessions := []*session{c.fillsUp(little), c.fillsUp(much)}
		const few, many = 20, 200
		for i, n := range []int{few, many} {
			p := []*peer{little, much}[i]
			p.send(bytes.Repeat(f, n))
			c.awaitThat(sessions[i], "it is answered", func() bool { return len(sessions[i].unread) > (n-10)*len(refused) })
		}
		for rest := c.config.MaxWaiting - c.Stats().UnreadBytes; rest > 0; rest -= 1000 { // of others, each of which owes little
			c.debts.set(new(session), min(rest, 1000))
		}
		little.send(bytes.Repeat(f, few))
		c.awaitClosed(sessions[1])
		little.expect(refused)
		c.onLoop(sessions[0].shard(), func() {
			if sessions[0].state == closed {
				t.Error("who owes little is cut off")
			}
		})
		c.log.only(t, "send_answer", "fail")
	})
}

// Whatever sessions come to owe, the sum is right, and no other owes twice as much
// as the one that is picked.
func TestDebts(t *testing.T) {
	var d debts
	random := rand.New(rand.NewPCG(7, 18))
	sessions := make([]*session, 50)
	for i := range sessions {
		sessions[i] = new(session)
	}
	owed := map[*session]int{}
	for range 10_000 {
		s, bytes := sessions[random.IntN(len(sessions))], random.IntN(1<<random.IntN(20))
		owed[s] = bytes
		d.set(s, bytes)
		sum, most := 0, 0
		for _, n := range owed {
			sum, most = sum+n, max(most, n)
		}
		if d.sum() != sum {
			t.Fatalf("the sum is %d, expected %d", d.sum(), sum)
		}
		picked := d.pick(1 << 20)
		if (picked != nil) != (sum > 1<<20) || picked != nil && 2*owed[picked] <= most {
			t.Fatalf("picked is one that owes %d of %d, the most is %d", owed[picked], sum, most)
		}
		delete(owed, picked)
	}
	for _, s := range sessions {
		d.set(s, 0)
	}
	if d.sum() != 0 || len(d.owed) != 0 {
		t.Errorf("%d bytes of %d sessions are left", d.sum(), len(d.owed))
	}
}
