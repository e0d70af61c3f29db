package reactor

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"loteria/codec"
	"loteria/internal/certs/certstest"
	"loteria/lottery"
)

// startTLS runs a central with both ports.
func startTLS(t testing.TB, agencies int, configure func(*Config)) (*central, *credentials) {
	t.Helper()
	credentials := newCredentials(t)
	c := start(t, agencies, func(config *Config) {
		config.TLS = credentials.tls()
		if configure != nil {
			configure(config)
		}
	}, nil)
	return c, credentials
}

// dialAgency connects as an agency.
func (c *central) dialAgency(agency int) *peer {
	c.t.Helper()
	return c.dialTLS(net.Dialer{}, clientConfig(c.t, agencyPair(c.t, agency)))
}

// expectRefusal connects, and expects to be refused with an alert that contains
// the text.
func (c *central) expectRefusal(config *tls.Config, alert string) {
	c.t.Helper()
	p := c.dialTo(c.TLSAddress().String(), net.Dialer{})
	p.secure = tls.Client(p.TCPConn, config)
	err := p.secure.Handshake()
	if err == nil { // the client's part is done before the server judges
		_, _ = p.Write(resumeFrame(1))
		_, err = p.Read(make([]byte, 1))
	}
	var alerted *net.OpError
	if !errors.As(err, &alerted) || alerted.Op != "remote error" || !strings.Contains(err.Error(), alert) {
		c.t.Errorf("the error is %v, expected the alert %q", err, alert)
	}
	p.Close()
}

// awaitFailure waits for the only line of a failure, and returns its error.
func (c *central) awaitFailure(action string) string {
	c.t.Helper()
	c.await("the failure is logged", func() bool { return len(c.log.find(c.t, action, "fail")) > 0 })
	return c.log.only(c.t, action, "fail")["error"].(string)
}

func TestAgencyOverTLS(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c, _ := startTLS(t, 2, nil)
		p := c.dialAgency(2)
		won := rawBetOf(2, "7", winning)
		p.send(resumeFrame(2), batchAt(0, won), finishedFrame(2), queryFrame(2))
		p.expect(pointFrame(), successFrame(won), okFrame)
		if stats := c.Stats(); stats.TLSConnections != 1 || stats.MaxHandshakes != 256 || stats.FailedHandshakes != 0 {
			t.Errorf("it has %+v", stats)
		}
		c.finish(1) // over the plain port
		p.expect(winnersFrame("7"))
		p.Close()
		c.awaitSessions(0)
		c.expectIdle()
		if failures := c.log.failures(t); len(failures) > 0 {
			t.Errorf("the log has %v", failures)
		}
		listening := c.log.find(t, "listen", "success")
		if len(listening) != 2 || listening[0]["tls"] != nil || listening[1]["tls"] != true ||
			listening[1]["address"] != c.TLSAddress().String() {
			t.Errorf("the log has %v", listening)
		}
		if err := c.stop(); err != nil {
			t.Error(err)
		}
		if ended := c.log.find(t, "close_listener", "success"); len(ended) != 2 {
			t.Errorf("the log has %v", ended)
		}
	})
}

// A connection speaks only for the agency of its certificate.
func TestCertificateOfAnotherAgency(t *testing.T) {
	c, _ := startTLS(t, 2, nil)
	for what, request := range map[string][]byte{
		"RESUME": resumeFrame(2), "BET": betFrame(rawBetOf(2, "1", losing)), "BATCH": batchAt(0, losers(2, 2)...),
		"FINISHED": finishedFrame(2), "query": queryFrame(2),
	} {
		t.Run(what, func(t *testing.T) {
			p := c.dialAgency(1)
			p.send(request)
			var answer codec.Error
			if f := p.receive(); f[4] != byte(codec.TypeError) || answer.Decode(f[5:len(f)-1]) != nil || answer.Code != lottery.WrongAgency {
				t.Errorf("the answer is %q, expected %s", f, lottery.WrongAgency)
			}
			p.send(resumeFrame(1))
			p.expect(pointFrame())
			p.Close()
		})
	}
	c.expectRows()
	unknown := c.dialAgency(3)
	unknown.send(resumeFrame(3))
	unknown.expect(errorFrame(lottery.UnknownAgency, noRawBet))
}

func TestRefusedCertificates(t *testing.T) {
	issue := func(from, until time.Time) tls.Certificate {
		pair, err := authority(t).Agency(1, from, until)
		return certstest.Certificate(t, pair, err)
	}
	others, err := stranger(t).Agency(1, time.Time{}, time.Time{})
	foreign := certstest.Certificate(t, others, err)
	centrals, err := authority(t).Central([]string{"127.0.0.1"}, time.Time{}, time.Time{})
	notAgencys := certstest.Certificate(t, centrals, err)
	now := time.Now()
	for what, test := range map[string]struct {
		own           []tls.Certificate
		alert, logged string
	}{
		"none":                 {nil, "certificate required", "didn't provide a certificate"},
		"of another authority": {[]tls.Certificate{foreign}, "unknown certificate authority", "loteria:agency:1"},
		"expired":              {[]tls.Certificate{issue(now.Add(-time.Hour), now.Add(-time.Minute))}, "expired certificate", "expired"},
		"not yet valid":        {[]tls.Certificate{issue(now.Add(time.Hour), now.Add(2*time.Hour))}, "expired certificate", "not yet valid"},
		"of a central":         {[]tls.Certificate{notAgencys}, "bad certificate", "incompatible key usage"},
		"revoked":              {[]tls.Certificate{agencyPair(t, 9)}, "bad certificate", "all of agency 9 are"},
	} {
		t.Run(what, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				c, credentials := startTLS(t, 9, nil)
				credentials.write(credentials.files.Revoked, []byte("loteria:agency:9\n"))
				if err := credentials.Reload(); err != nil {
					t.Fatal(err)
				}
				config := clientConfig(t)
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // also a useless one
					if len(test.own) == 0 {
						return &tls.Certificate{}, nil
					}
					return &test.own[0], nil
				}
				c.expectRefusal(config, test.alert)
				if text := c.awaitFailure("tls_handshake"); !strings.Contains(text, test.logged) {
					t.Errorf("the log says %q, expected %q", text, test.logged)
				}
				c.await("it is gone", func() bool { return c.Stats().Connections == 0 })
				if n := c.Stats().FailedHandshakes; n != 1 {
					t.Errorf("%d failed handshakes are counted", n)
				}
				p := c.dialAgency(1)
				p.send(resumeFrame(1))
				p.expect(pointFrame())
			})
		})
	}
}

// An agency that does not know the central's authority says so.
func TestCentralIsNotTrusted(t *testing.T) {
	c, _ := startTLS(t, 1, nil)
	p := c.dialTo(c.TLSAddress().String(), net.Dialer{})
	config := clientConfig(t, agencyPair(t, 1))
	config.RootCAs = nil
	if err := tls.Client(p.TCPConn, config).Handshake(); err == nil {
		t.Fatal("the handshake is done")
	}
	if text := c.awaitFailure("tls_handshake"); !strings.Contains(text, "the peer does not go on: tls: ") {
		t.Errorf("the log says %q", text)
	}
}

// An agency revoked while connected is closed when it is identified again, and
// others are not. Its next connection is refused.
func TestRevokedWhileConnected(t *testing.T) {
	withLoops(t, func(t *testing.T, configure func(*Config)) {
		const agencies = 8
		c, credentials := startTLS(t, agencies, configure)
		peers := make([]*peer, agencies)
		for i := range peers {
			peers[i] = c.dialAgency(i + 1)
			peers[i].send(resumeFrame(i + 1))
			peers[i].expect(pointFrame())
		}
		plain := c.dialTo(c.Address().String(), net.Dialer{})
		plain.send(resumeFrame(3))
		plain.expect(pointFrame())
		credentials.write(credentials.files.Revoked, []byte("agency 3\n"))
		if err := credentials.Reload(); err != nil {
			t.Fatal(err)
		}
		c.IdentifyAgain()
		peers[2].expectEnd()
		if text := c.awaitFailure("identify_agency"); !strings.Contains(text, "all of agency 3 are") {
			t.Errorf("the log says %q", text)
		}
		for i, p := range peers {
			if i != 2 {
				p.send(resumeFrame(i + 1))
				p.expect(pointFrame())
			}
		}
		plain.send(resumeFrame(3))
		plain.expect(pointFrame())
		c.expectRefusal(clientConfig(t, agencyPair(t, 3)), "bad certificate")
	})
}

// An agency revoked between its handshake and its loop is identified by the loop.
func TestRevokedBehindTheHandshake(t *testing.T) {
	asked := make(chan struct{}, 1)
	c, _ := startTLS(t, 1, func(config *Config) {
		identify := config.TLS.Identify
		config.TLS.Identify = func(state tls.ConnectionState) (int, error) {
			select {
			case asked <- struct{}{}:
				return identify(state)
			default:
				return 0, errors.New("it is revoked now")
			}
		}
	})
	c.dialAgency(1).expectGone()
	c.awaitFailure("identify_agency")
	c.awaitSessions(0)
	c.expectIdle()
}

// Certificates are renewed while agencies are connected: those go on, and new ones
// are shown the new certificate.
func TestRenewedWhileConnected(t *testing.T) {
	c, credentials := startTLS(t, 2, nil)
	old := c.dialAgency(1)
	old.send(resumeFrame(1))
	old.expect(pointFrame())
	credentials.renew()
	if err := credentials.Reload(); err != nil {
		t.Fatal(err)
	}
	c.IdentifyAgain()
	young := c.dialAgency(2)
	for i, p := range []*peer{old, young} {
		p.send(resumeFrame(i + 1))
		p.expect(pointFrame())
	}
	serial := func(p *peer) string { return p.secure.ConnectionState().PeerCertificates[0].SerialNumber.String() }
	if serial(old) == serial(young) {
		t.Error("the new certificate is not shown")
	}
}

// A peer that speaks no TLS is disconnected, and an agency is told what is wrong.
func TestNoTLS(t *testing.T) {
	for what, test := range map[string]struct {
		sent, answer []byte
		logged       string
	}{
		"a frame":   {resumeFrame(1), errorFrame(codec.TLSRequired, noRawBet), "it has sent a frame as it is"},
		"batches":   {bytes.Repeat(batchFrame(losers(1, 100)...), 20), errorFrame(codec.TLSRequired, noRawBet), "it has sent a frame as it is"},
		"HTTP":      {[]byte("GET / HTTP/1.1\r\nHost: central\r\n\r\n"), nil, `it begins with "GET /"`},
		"a line":    {[]byte("hola, central\n"), nil, `it begins with "hola,"`},
		"junk":      {[]byte("\xff\xfe\xfd\xfc\xfb\xfa"), nil, `it begins with "\xff\xfe\xfd\xfc\xfb"`},
		"SSL 2":     {[]byte("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"), nil, "SSLv2"},
		"bad hello": {append([]byte("\x16\x03\x01\x00\x20"), make([]byte, 32)...), nil, "tls: "},
	} {
		t.Run(what, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				c, _ := startTLS(t, 1, nil)
				p := c.dialTo(c.TLSAddress().String(), net.Dialer{})
				p.send(test.sent)
				if test.answer != nil {
					p.expect(test.answer)
					p.expectEnd()
				} else {
					p.expectGone()
				}
				p.Close()
				if text := c.awaitFailure("tls_handshake"); !strings.Contains(text, test.logged) {
					t.Errorf("the log says %q, expected %q", text, test.logged)
				}
				c.await("it is gone", func() bool { return c.Stats().Connections == 0 })
				c.expectRows()
				if n := len(c.log.find(t, "receive_message", "success")); n != 0 {
					t.Error("there is an echo over TLS")
				}
			})
		})
	}
}

// A client that offers only an older TLS is refused.
func TestOldTLS(t *testing.T) {
	c, _ := startTLS(t, 1, nil)
	config := clientConfig(t, agencyPair(t, 1))
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	c.expectRefusal(config, "protocol version")
	if text := c.awaitFailure("tls_handshake"); !strings.Contains(text, "unsupported versions") {
		t.Errorf("the log says %q", text)
	}
}

// A probe whether the port is open is no failure.
func TestConnectAndClose(t *testing.T) {
	c, _ := startTLS(t, 1, nil)
	for _, end := range []func(*peer){(*peer).reset, func(p *peer) { p.Close() }} {
		p := c.dialTo(c.TLSAddress().String(), net.Dialer{})
		c.await("it is counted", func() bool { return c.Stats().Handshakes == 1 && c.Stats().Connections == 1 })
		end(p)
		c.await("it is gone", func() bool { return c.Stats().Connections == 0 })
	}
	if failures := c.log.failures(t); len(failures) > 0 || c.Stats().FailedHandshakes != 0 {
		t.Errorf("%d failed handshakes are counted, the log has %v", c.Stats().FailedHandshakes, failures)
	}
}

// recording keeps what a client writes, and has nothing to read.
type recording struct {
	net.Conn
	written bytes.Buffer
}

func (r *recording) Write(p []byte) (int, error) { return r.written.Write(p) }
func (r *recording) Read([]byte) (int, error)    { return 0, io.EOF }

// A peer that stalls at any byte of the handshake is closed after its timeout. An
// end of file there is an end, too.
func TestHandshakeStallsAtAnyByte(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		c, _ := startTLS(t, 1, func(config *Config) { config.TLS.HandshakeTimeout = 50 * time.Millisecond })
		r := &recording{}
		if err := tls.Client(r, clientConfig(t, agencyPair(t, 1))).Handshake(); err == nil {
			t.Fatal("there is a handshake without a central")
		}
		hello := r.written.Bytes()
		hello = hello[:recordHeader+int(hello[3])<<8+int(hello[4])] // without the alert after it
		step := max(len(hello)/150, 1)
		failed := 0
		var peers []*peer
		for cut := 1; cut < len(hello); cut += step {
			p := c.dialTo(c.TLSAddress().String(), net.Dialer{})
			p.send(hello[:cut])
			if cut%2 == 0 {
				_ = p.TCPConn.CloseWrite()
			}
			peers = append(peers, p)
			failed++
		}
		whole := c.dialTo(c.TLSAddress().String(), net.Dialer{}) // and no answer to the server's flight
		whole.send(hello)
		failed++
		for _, p := range append(peers, whole) {
			p.expectGone()
		}
		c.await("all have failed", func() bool { return c.Stats().FailedHandshakes == failed })
		if n := len(c.log.find(t, "tls_handshake", "fail")); n == 0 {
			t.Error("nothing is logged")
		}
		c.await("all are gone", func() bool { return c.Stats().Handshakes == 0 })
	})
}

// Thousands of stalled handshakes neither hold up connected agencies nor keep out
// new ones.
func TestStalledHandshakes(t *testing.T) {
	stalled, agencies := 5000, 5
	if testing.Short() {
		stalled = 500
	}
	c, _ := startTLS(t, agencies+1, func(config *Config) {
		config.MaxConnections, config.MaxPerAddress, config.Backlog = 2*stalled, 2*stalled, 4096
		config.TLS.MaxHandshakes = 256
	})
	ended := make(chan error, agencies)
	peers := make([]*peer, agencies)
	for i := range peers {
		peers[i] = c.dialAgency(i + 1)
		peers[i].send(resumeFrame(i + 1))
		peers[i].expect(pointFrame())
	}
	stop := make(chan struct{})
	for i, p := range peers {
		go func() {
			var stored []lottery.RawBet
			for n := 0; ; n++ {
				select {
				case <-stop:
					ended <- nil
					return
				default:
				}
				rawBets := losers(i+1, 3)
				if _, err := p.Write(batchAt(len(stored), rawBets...)); err != nil {
					ended <- err
					return
				}
				if err := p.match(successFrame(rawBets[0])); err != nil {
					ended <- fmt.Errorf("agency %d: %w", i+1, err)
					return
				}
				stored = append(stored, rawBets...)
			}
		}()
	}
	conns := make([]net.Conn, 0, stalled)
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	for range stalled {
		conn, err := net.DialTimeout("tcp", c.TLSAddress().String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte{22, 3, 1})
		conns = append(conns, conn)
	}
	newcomer := c.dialAgency(agencies + 1)
	newcomer.send(resumeFrame(agencies + 1))
	newcomer.expect(pointFrame())
	if n := c.Stats().Handshakes; n > 256 {
		t.Errorf("there are %d handshakes", n)
	}
	close(stop)
	for range agencies {
		if err := await(t, ended, "an agency gets no answer"); err != nil {
			t.Error(err)
		}
	}
}

// A handshake that the server itself keeps waiting is not closed to make room.
func TestManyHonestHandshakes(t *testing.T) {
	const agencies, each = 8, 6
	handshakesGrace = patience
	defer func() { handshakesGrace = handshakeGrace }()
	c, _ := startTLS(t, agencies, func(config *Config) { config.TLS.MaxHandshakes = 4 })
	ended := make(chan error, agencies*each)
	for i := range agencies * each {
		config := clientConfig(t, agencyPair(t, 1+i%agencies))
		go func() {
			conn, err := net.DialTimeout("tcp", c.TLSAddress().String(), patience)
			if err == nil {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				p := tls.Client(conn, config)
				if _, err = p.Write(resumeFrame(1 + i%agencies)); err == nil {
					_, err = io.ReadFull(p, make([]byte, len(pointFrame())))
				}
			}
			ended <- err
		}()
	}
	for range agencies * each {
		if err := await(t, ended, "a peer gets no answer"); err != nil {
			t.Error(err)
		}
	}
}

// A connection counts from the first moment on.
func TestHandshakesCountAsConnections(t *testing.T) {
	c, _ := startTLS(t, 1, func(config *Config) { config.MaxConnections = 2 })
	p := c.dialAgency(1)
	p.send(resumeFrame(1))
	p.expect(pointFrame())
	stalled := c.dialTo(c.TLSAddress().String(), net.Dialer{})
	c.await("it is counted", func() bool { return c.Stats().Connections == 2 })
	c.dialTo(c.TLSAddress().String(), net.Dialer{}).expectGone()
	c.dialTo(c.Address().String(), net.Dialer{}).expectRetry()
	if n := c.Stats().RefusedConnections; n != 2 {
		t.Errorf("%d refused connections are counted, expected 2", n)
	}
	stalled.Close()
	c.await("it is gone", func() bool { return c.Stats().Connections == 1 })
	again := c.dialAgency(1)
	again.send(resumeFrame(1))
	again.expect(pointFrame())
}

// A stop closes handshakes in progress, and answers what is in flight.
func TestStopDuringHandshakes(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		credentials := newCredentials(t)
		c, g := startSlow(t, 2, func(config *Config) { config.TLS = credentials.tls() })
		raw := rawBetOf(1, "1", losing)
		betting, parked := c.dialAgency(1), c.dialAgency(2)
		betting.send(betFrame(raw))
		parked.send(queryFrame(2))
		g.wait(t, 1)
		c.awaitParked(1)
		var stalled []*peer
		for i := range 20 {
			p := c.dialTo(c.TLSAddress().String(), net.Dialer{})
			p.send([]byte{22, 3, 1}[:i%4])
			stalled = append(stalled, p)
		}
		c.await("all are counted", func() bool { return c.Stats().Handshakes == len(stalled) })
		stopped := make(chan error, 1)
		go func() { stopped <- c.stop() }()
		for _, p := range stalled {
			p.expectGone()
		}
		parked.expectEnd()
		g.open()
		betting.expect(successFrame(raw))
		betting.expectEnd()
		betting.Close()
		if err := await(t, stopped, "the central does not stop"); err != nil {
			t.Error(err)
		}
		if failures := c.log.failures(t); len(failures) > 0 {
			t.Errorf("the log has %v", failures)
		}
	})
}

func TestPorts(t *testing.T) {
	t.Run("TLS alone", func(t *testing.T) {
		c, _ := startTLS(t, 1, func(config *Config) { config.Address = "" })
		if c.Address() != nil {
			t.Errorf("it listens on %v without TLS", c.Address())
		}
		p := c.dialAgency(1)
		p.send(resumeFrame(1))
		p.expect(pointFrame())
	})
	t.Run("none", func(t *testing.T) {
		if err := New(Config{}, undrawn{}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no port") {
			t.Errorf("the error is %v", err)
		}
	})
	t.Run("the second is taken", func(t *testing.T) {
		taken := start(t, 1, nil, nil).Address().String()
		leavesNothing(t, func(t *testing.T) {
			err := New(Config{Address: anyPort, Backlog: 1, TLS: &TLS{Address: taken}}, undrawn{}).Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), "listen on "+taken) {
				t.Errorf("the error is %v", err)
			}
		})
	})
}

// A failed accept for TLS is tried again like any other.
func TestAcceptForTLSFails(t *testing.T) {
	l := fail(2, os.ErrPermission)
	credentials := newCredentials(t)
	c := startOn(t, 1, func(config *Config) { config.Address, config.TLS = "", credentials.tls() }, nil, l.listen)
	p := c.dialAgency(1)
	p.send(resumeFrame(1))
	p.expect(pointFrame())
	if n := len(c.log.find(t, "accept_connection", "in_progress")); n != 2 {
		t.Errorf("%d failures are logged, expected 2", n)
	}
}

// A failed handshake whose peer reads why still counts as in progress, and ends to
// make room for a new one, or at a stop.
func TestFailedHandshakesMakeRoom(t *testing.T) {
	h := newHandshakes(&TLS{MaxHandshakes: 1})
	h.grace = 0
	fail := func() *handshake {
		conn, peer := net.Pipe()
		t.Cleanup(func() { peer.Close() })
		one := h.begin(conn)
		one.work()
		one.rest()
		if err := one.finish(io.EOF); err != io.EOF {
			t.Fatalf("it has failed with %v", err)
		}
		return one
	}
	first, second := fail(), fail()
	if cause := first.whyCut(); cause != errCrowded {
		t.Errorf("the first is closed because of %v, expected %v", cause, errCrowded)
	}
	h.close()
	if cause := second.whyCut(); cause != errStopping {
		t.Errorf("the second is closed because of %v, expected %v", cause, errStopping)
	}
}

// A peer that sends more certificates than any agency has is refused: to verify the
// signatures of a hundred takes a tenth of a second, and an agency's are kept with
// its connection.
func TestTooManyCertificates(t *testing.T) {
	c, _ := startTLS(t, 1, nil)
	with := func(more int) *tls.Config {
		own := agencyPair(t, 1)
		own.Certificate = slices.Repeat(own.Certificate, 1+more)
		return clientConfig(t, own)
	}
	p := c.dialTLS(net.Dialer{}, with(9))
	p.send(resumeFrame(1))
	p.expect(pointFrame())
	c.dialTLS(net.Dialer{}, with(maxHandshakeBytes/len(agencyPair(t, 1).Certificate[0]))).expectEnd()
	if text := c.awaitFailure("tls_handshake"); text != errLongHandshake.Error() {
		t.Errorf("the log says %q", text)
	}
}

// A handshake that came in time but got no processor in time is late.
func TestHandshakeIsLateOnAProcessor(t *testing.T) {
	h := newHandshakes(&TLS{MaxHandshakes: 1, HandshakeTimeout: time.Hour})
	conn, peer := net.Pipe()
	defer conn.Close()
	go func() {
		_, _ = peer.Write([]byte{22, 3})
		peer.Close()
	}()
	for _, late := range []bool{false, true} {
		one := &handshake{set: h, conn: conn, begun: time.Now()}
		if late {
			one.begun = one.begun.Add(-2 * h.timeout)
		}
		one.work()
		if _, err := (&transport{conn: conn, pause: one}).Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) != late {
			t.Errorf("late: %v, the error is %v", late, err)
		}
		one.rest()
	}
}
