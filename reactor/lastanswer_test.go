package reactor

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A peer that goes on sending while the server stops, or after it has broken the
// protocol, gets its last answer and the end of file, and no reset.
func TestLastAnswerOfAPeerThatGoesOnSending(t *testing.T) {
	for _, stops := range []bool{true, false} {
		name := map[bool]string{true: "a stop", false: "a broken frame"}[stops]
		t.Run(name, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				c, g := startSlow(t, 1, nil)
				p, raw := c.dial(), rawBetOf(1, "1", losing)
				p.send(betFrame(raw))
				g.wait(t, 1)
				stopped := make(chan error, 1)
				if stops {
					go func() { stopped <- c.stop() }()
					c.await("it stops", c.stopping.Load)
				} else {
					p.send([]byte("\x00\x00\x00\x00\x0c"))
					stopped <- nil
				}
				sending := make(chan struct{})
				defer func() { <-sending }()
				go func() { // until the end of file, or half as much as the server bears
					defer close(sending)
					for sent := 0; sent < maxIgnored/2 && !p.hasEnded(); sent += 100 {
						if _, err := p.Write(make([]byte, 100)); err != nil {
							return
						}
					}
				}()
				g.open()
				p.expect(successFrame(raw))
				if !stops {
					p.expect(errorFrame("unknown_type", noRawBet))
				}
				p.expectEnd()
				p.Close()
				if err := await(t, stopped, "the central does not stop"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// hasEnded reports whether the end of file has come, with nothing unread before it.
func (p *peer) hasEnded() bool {
	raw, err := p.SyscallConn()
	if err != nil {
		return true
	}
	n := -1
	err = raw.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return err != nil || n == 0
}

// A stop does not wait for peers that have nothing more to read, and for those that
// do not close their side no longer than it may.
func TestStopWaitsForNoSilence(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c := start(t, 1, nil, nil)
		silent, answered := c.dial(), c.dial()
		c.session(silent)
		answered.send(resumeFrame(1))
		answered.expect(pointFrame())
		stopped := make(chan error, 1)
		go func() { stopped <- c.stop() }()
		silent.expectEnd()
		answered.expectEnd()
		if err := await(t, stopped, "the central does not stop"); err != nil {
			t.Error(err)
		}
	})
}
