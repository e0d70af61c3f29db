package reactor

import (
	"testing"

	"golang.org/x/sys/unix"
)

// segments returns how many segments with data the peer has got.
func (p *peer) segments() uint32 {
	p.t.Helper()
	raw, err := p.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	var info *unix.TCPInfo
	_ = raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return info.Data_segs_in
}

// The server never delays segments (TCP_NODELAY), so each of its writes is one.
func TestFramesOfOneReadAreAnsweredInOneWrite(t *testing.T) {
	for name, conversation := range map[string]func(i int) (request, answer []byte){
		"bets": func(i int) (request, answer []byte) {
			raw := losers(1, 100)[i]
			return betFrame(raw), successFrame(raw)
		},
		"batches": func(i int) (request, answer []byte) {
			rawBets := losers(1, 3)
			return batchFrame(rawBets...), successFrame(rawBets[0])
		},
		"resumes": func(i int) (request, answer []byte) { return resumeFrame(2), pointFrame() },
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, 2, nil, nil)
			var stream, want []byte
			for i := range 100 {
				request, answer := conversation(i)
				stream, want = append(stream, request...), append(want, answer...)
			}
			p := c.dial()
			p.send(stream)
			p.expectBytes(want)
			if n := p.segments(); n != 1 {
				t.Errorf("the answers came in %d segments, expected one", n)
			}
		})
	}
}
