package reactor

import (
	"net"
	"sync"
	"testing"
	"time"
)

func TestMaxPerAddress(t *testing.T) {
	c := start(t, 1, func(config *Config) { config.MaxPerAddress = 1 }, nil)
	first := c.dial()
	c.awaitSessions(1)
	tooMany := c.dial()
	tooMany.expectRetry()
	tooMany.expectEnd()

	elsewhere := c.dialFrom("127.0.0.2") // another address has a connection of its own
	for _, p := range []*peer{first, elsewhere} {
		p.send(resumeFrame(1))
		p.expect(pointFrame())
	}

	first.Close()
	c.awaitSessions(1)
	again := c.dial()
	again.send(resumeFrame(1))
	again.expect(pointFrame())
}

// Half a frame, a byte now and then, half a line, silence: each ends with the
// peer being told, while an agency with a parked query is left alone.
func TestSlowPeers(t *testing.T) {
	const soon = time.Millisecond // the next sweep
	for name, test := range map[string]struct {
		configure func(*Config)
		sent      []byte
		told      func(*peer)
	}{
		"half a frame": {
			func(config *Config) { config.FrameTimeout = soon },
			resumeFrame(1)[:6],
			(*peer).expectRetry,
		},
		"a frame and a half": {
			func(config *Config) { config.FrameTimeout = soon },
			append(resumeFrame(1), resumeFrame(1)[:6]...),
			func(p *peer) {
				p.expect(pointFrame())
				p.expectRetry()
			},
		},
		"a line without an end": {
			func(config *Config) { config.FrameTimeout = soon },
			[]byte("hol"),
			func(p *peer) {
				defer p.feed([]byte("a"))()
				p.expectBytes([]byte("what was begun is not complete after 1ms\n"))
			},
		},
		"nothing ever": {
			func(config *Config) { config.IdleTimeout = soon },
			nil,
			(*peer).expectRetry,
		},
		"nothing more": {
			func(config *Config) { config.IdleTimeout = soon },
			resumeFrame(1),
			func(p *peer) {
				p.expect(pointFrame())
				p.expectRetry()
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, 1, test.configure, nil)
			parked := c.dial()
			parked.send(queryFrame(1))
			c.awaitParked(1)

			slow := c.dial()
			slow.send(test.sent)
			test.told(slow)
			slow.expectEnd()

			c.finish(1)
			parked.expect(winnersFrame())
		})
	}
}

// The time of a frame that comes a byte at a time begins with its first byte: later
// ones do not extend it.
func TestFrameTimeoutIsNotExtended(t *testing.T) {
	c := start(t, 1, func(config *Config) { config.FrameTimeout = time.Millisecond }, nil)
	p := c.dial()
	p.send([]byte{0, 0, 0x20, 0, 0x02})
	defer p.feed([]byte{0})()
	p.expectRetry()
}

// feed sends the piece again and again, until it is stopped or the connection is
// closed.
func (p *peer) feed(piece []byte) (stop func()) {
	stopped := make(chan struct{})
	var feeding sync.WaitGroup
	feeding.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stopped:
				return
			case <-ticker.C:
				if _, err := p.Write(piece); err != nil {
					return
				}
			}
		}
	})
	return func() {
		close(stopped)
		feeding.Wait()
	}
}

// dialFrom connects from one of the loopback addresses.
func (c *central) dialFrom(ip string) *peer {
	c.t.Helper()
	return c.dialWith(net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}})
}
