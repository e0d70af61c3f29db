package reactor

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"loteria/codec"
	"loteria/lottery"
)

// Pitfall 6: the peer is gone in the middle of a frame. Its session and its
// descriptor go too, so nothing is left to be read again and again.
func TestPitfall6PeerClosesInTheMiddleOfAFrame(t *testing.T) {
	c := start(t, 1, nil, nil)
	c.expectEcho("hola\n")
	c.awaitSessions(0)
	before := descriptors(t)
	raw := rawBetOf(1, "1", losing)
	f := betFrame(raw)
	for _, cut := range []int{1, 3, 4, 5, 20, len(f) - 1} {
		for _, hangUp := range []func(*peer){
			func(p *peer) { p.Close() },
			func(p *peer) { _ = p.CloseWrite(); p.expectEnd(); p.Close() },
			func(p *peer) { p.reset() },
		} {
			p := c.dial()
			p.send(f[:cut])
			c.awaitRead(p, cut)
			hangUp(p)
		}
	}
	c.awaitSessions(0)
	c.awaitDescriptors(before)
	c.expectIdle()
	c.expectRows()
	c.ask(f, successFrame(raw))
}

// Pitfall 11: a malformed bet in a batch.
func TestPitfall11MalformedBetInABatch(t *testing.T) {
	rawBets := losers(1, 5)
	for what, bad := range map[string]lottery.RawBet{
		"a birthdate that does not exist": birthdate("2021-13-01"),
		"a number that is none":           number("siete"),
		"a field of many":                 firstName(string(bytes.Repeat([]byte("a"), 5000))),
		"frames in a name":                lastName("\x00\x00\x00\x03\x05\x00\x011"),
	} {
		t.Run(what, func(t *testing.T) {
			c := start(t, 1, func(config *Config) { config.Loops = 1 }, nil)
			p := c.dial()
			for range 3 { // the only loop lives on
				p.send(batchFrame(rawBets[0], rawBets[1], bad, rawBets[2], rawBets[3]))
				p.expect(errorFrame(codeOf(judge(bad)), bad))
			}
			c.expectRows()
			p.send(batchFrame(rawBets...), betFrame(rawBets[0]))
			p.expect(successFrame(rawBets[0]), successFrame(rawBets[0]))
			c.expectRows(append(rawBets[:5:5], rawBets[0])...)
		})
	}
	// The bet's length is wrong, and what follows would be a FINISHED.
	t.Run("a length that does not add up", func(t *testing.T) {
		c := start(t, 1, nil, nil)
		f := []byte("\x00\x00\x00\x00\x02" + "\x00\x00\x00\x01" + "\x00\x00\x00\x02" + "\x00\x01")
		f = append(append(f, bytes.Repeat(finishedFrame(1), 4)...), codec.Delimiter)
		f[3] = byte(len(f) - 6)
		p := c.dial()
		p.send(f, finishedFrame(1))
		p.expect(errorFrame(codec.BadFrame, noRawBet))
		p.expectEnd()
		c.ask(betFrame(rawBets[0]), successFrame(rawBets[0])) // it has not finished
	})
}

func codeOf(err error) lottery.Code {
	code, _ := refusal(err)
	return code
}

func judge(raw lottery.RawBet) error {
	_, err := raw.Bet()
	return err
}

// hostileStream is bytes that no agency of the contest sends.
func hostileStream(random *rand.Rand) []byte {
	rawBets := losers(77, 1+random.IntN(10)) // no one bit away from an expected agency
	var stream []byte
	switch random.IntN(3) {
	case 0: // noise, half of it on a framed connection
		stream = make([]byte, 1+random.IntN(5000))
		for i := range stream {
			stream[i] = byte(random.Uint32())
		}
		if random.IntN(2) == 0 {
			stream[0] = 0
		}
		return stream
	case 1: // good frames with some bits turned
		stream = bytes.Join([][]byte{batchFrame(rawBets...), betFrame(rawBets[0]), finishedFrame(77), queryFrame(77), resumeFrame(77)}, nil)
		for range 1 + random.IntN(4) {
			stream[random.IntN(len(stream))] ^= 1 << random.IntN(8)
		}
		stream[0] = 0
	case 2: // known broken frames
		var all [][]byte
		for _, r := range refusals() {
			if r.closes {
				all = append(all, r.frame)
			}
		}
		stream = append(resumeFrame(77), all[random.IntN(len(all))]...)
	}
	return stream[:1+random.IntN(len(stream))]
}

// Whatever strangers send, honest agencies get their work done.
func TestRandomBytesBesideHonestAgencies(t *testing.T) {
	const agencies, strangers = 3, 200
	c := start(t, agencies, nil, nil)
	random := rand.New(rand.NewPCG(11, 14))
	ended := make(chan error, agencies)
	for a := 1; a <= agencies; a++ {
		p := c.dial()
		go func() { ended <- p.converse(rand.New(rand.NewPCG(3, uint64(a))), a, 60) }()
	}
	for range strangers {
		p := c.dial()
		_, _ = p.Write(hostileStream(random))
		switch random.IntN(3) {
		case 0:
			p.Close()
		case 1:
			p.reset()
		default:
			_ = p.CloseWrite()
			p.expectGone()
			p.Close()
		}
	}
	for range agencies {
		if err := await(t, ended, "an agency gets no answer"); err != nil {
			t.Error(err)
		}
	}
	c.awaitSessions(agencies)
	c.expectEcho("hola\n")
	c.log.only(t, "sorteo", "success")
}

// A peer leaves while its batch goes to disk: the batch is stored all the same, and
// nothing is kept of the session.
func TestPeerLeavesWhileItsBatchIsStored(t *testing.T) {
	for how, hangUp := range map[string]func(*peer){
		"closed": func(p *peer) { p.Close() },
		"reset":  func(p *peer) { p.reset() },
	} {
		t.Run(how, func(t *testing.T) {
			c, g := startSlow(t, 1, nil)
			p, rawBets := c.dial(), losers(1, 3)
			p.send(batchFrame(rawBets...))
			g.wait(t, 1)
			p.send(resumeFrame(1), queryFrame(1))
			c.awaitFrames(p, 3)
			s := c.session(p)
			hangUp(p)
			c.awaitThat(s, "it is gone", func() bool { return s.state == closed || s.inputEnded })
			g.open()
			c.endTail(s)
			c.awaitSessions(0)
			c.expectIdle()
			c.expectRows(rawBets...)
			c.ask(resumeFrame(1), pointFrame(rawBets...))
		})
	}
}
