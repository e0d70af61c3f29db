package reactor

import (
	"bytes"
	"testing"

	"loteria/lottery"
)

// script returns frames of one agency, from RESUME to FINISHED, with their answers.
func script(agency int) (frames, answers [][]byte) {
	rawBets := losers(agency, 3)
	bad := rawBetOf(agency, "77", "10000")
	return [][]byte{
			resumeFrame(agency),
			betFrame(rawBets[0]),
			batchAt(1, rawBets[1:]...),
			betFrame(bad),
			resumeFrame(agency),
			totalFrame(agency, 3),
		}, [][]byte{
			pointFrame(),
			successFrame(rawBets[0]),
			successFrame(rawBets[1]),
			errorFrame(lottery.BadNumber, bad),
			pointFrame(rawBets...),
			okFrame,
		}
}

// wholeFrames returns how many of the frames the first n bytes hold whole, and how
// many bytes follow them.
func wholeFrames(frames [][]byte, n int) (whole, rest int) {
	for _, f := range frames {
		if n < len(f) {
			break
		}
		n -= len(f)
		whole++
	}
	return whole, n
}

// firstAgency makes the numbers of the agencies, and so their streams, equally
// long.
const firstAgency = 100

func TestFramesCutAtEachByte(t *testing.T) {
	frames, _ := script(firstAgency)
	size := len(bytes.Join(frames, nil))
	c := start(t, firstAgency+size, nil, nil)
	for cut := 1; cut < size; cut++ {
		frames, answers := script(firstAgency + cut)
		stream := bytes.Join(frames, nil)
		whole, rest := wholeFrames(frames, cut)

		p := c.dial()
		p.send(stream[:cut])
		p.expect(answers[:whole]...)
		c.awaitRead(p, rest)
		p.send(stream[cut:])
		p.expect(answers[whole:]...)
		p.Close()
	}
}

func TestFramesByteByByte(t *testing.T) {
	c := start(t, 1, nil, nil)
	frames, answers := script(1)
	p := c.dial()
	for i, f := range frames {
		for n := range f {
			p.send(f[n : n+1])
			c.awaitRead(p, (n+1)%len(f))
		}
		p.expect(answers[i])
	}
}

func TestFramesInOneWrite(t *testing.T) {
	c := start(t, 1, nil, nil)
	frames, answers := script(1)
	p := c.dial()
	p.send(frames...)
	p.expect(answers...)
}

// More than the server reads at a time, with frames that do not end where a
// read does.
func TestLongFramesInOneWrite(t *testing.T) {
	c := start(t, 1, nil, nil)
	stream, want := resumeFrame(1), pointFrame()
	var stored []lottery.RawBet
	for i := range 60 {
		batch := losers(1, 120)
		f := batchAt(120*i, batch...)
		stream = append(stream, f...)
		want = append(want, successFrame(batch[0])...)
		stored = append(stored, batch...)
	}
	p := c.dial()
	p.send(stream)
	p.expectBytes(want)
	p.send(resumeFrame(1))
	p.expect(pointFrame(stored...))
	c.expectRows(stored...)
}
