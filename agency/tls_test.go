package agency

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"loteria/internal/certs"
	"loteria/internal/certs/certstest"
)

// testFiles are named in errors; nothing is read from them.
var testFiles = TLSFiles{Authorities: "authority.pem", Certificate: "agency-1.pem"}

// issuer is a lottery's authority.
type issuer struct {
	t *testing.T
	*certs.Authority
	pool *x509.CertPool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	authority := certstest.Authority(t)
	return &issuer{t, authority, certstest.Trust(authority)}
}

func (i *issuer) pair(pair certs.Pair, err error) tls.Certificate {
	i.t.Helper()
	return certstest.Certificate(i.t, pair, err)
}

// Times of a certificate that is not valid now. The zero ones are valid.
var (
	longAgo   = [2]time.Time{time.Now().Add(-48 * time.Hour), time.Now().Add(-24 * time.Hour)}
	tomorrow  = [2]time.Time{time.Now().Add(24 * time.Hour), time.Now().Add(48 * time.Hour)}
	thisYears [2]time.Time
)

// central is the configuration of a central of this lottery, at 127.0.0.1.
func (i *issuer) central() *tls.Config {
	return i.centralWith(i.pair(i.Central([]string{"127.0.0.1"}, time.Time{}, time.Time{})))
}

func (i *issuer) centralWith(certificate tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{certificate},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              i.pool,
		SessionTicketsDisabled: true,
	}
}

// agency makes the configuration one of agency 1 of this lottery, over TLS.
func (i *issuer) agency(config Config) Config {
	return i.agencyWith(config, i.pair(i.Agency(1, time.Time{}, time.Time{})))
}

func (i *issuer) agencyWith(config Config, own ...tls.Certificate) Config {
	config.TLSFiles = testFiles
	config.TLS = func() (*tls.Config, error) {
		return &tls.Config{RootCAs: i.pool, Certificates: own}, nil
	}
	return config
}

// tlsCentral counts the connections of a central over TLS.
type tlsCentral struct {
	calls   atomic.Int32
	address string
}

// serveTLS serves connections whose handshake succeeds. The configuration is that
// of the n-th call, from 1; nil closes it before a handshake.
func serveTLS(t *testing.T, config func(n int) *tls.Config, handle func(p *peer)) *tlsCentral {
	t.Helper()
	c := &tlsCentral{}
	c.address = serve(t, func(n int, p *peer) {
		c.calls.Add(1)
		config := config(n)
		if config == nil {
			return
		}
		secured := tls.Server(p.Conn, config)
		if secured.Handshake() != nil {
			return
		}
		defer secured.Close()
		handle(&peer{secured, t})
	})
	return c
}

func always(config *tls.Config) func(int) *tls.Config { return func(int) *tls.Config { return config } }

// startTLS serves the central over TLS.
func (f *fake) startTLS(t *testing.T, config func(n int) *tls.Config) *tlsCentral {
	t.Helper()
	f.t = t
	return serveTLS(t, config, f.handle)
}

// wantFinal fails the test unless the run ended with a final connection error: one
// line that says so, after one call.
func (c *tlsCentral) wantFinal(t *testing.T, log *record, err error, says ...string) {
	t.Helper()
	wantFailure(t, log, err, "connect", append(says, "the central "+c.address)...)
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has several lines: %q", err)
	}
	if n := c.calls.Load(); n != 1 {
		t.Errorf("the central was called %d times, expected once", n)
	}
	if lines := log.with("action: connect | result: in_progress"); len(lines) > 0 {
		t.Errorf("the log says %q", lines)
	}
}

// Over TLS everything works as without it.
func TestOverTLS(t *testing.T) {
	i := newIssuer(t)
	rows := sampleRows(503)
	for name, config := range map[string]Config{
		"batch":   batchConfig(t, "", rows),
		"bet":     betConfig("", 3),
		"winners": winnersConfig(""),
	} {
		t.Run(name, func(t *testing.T) {
			central := &fake{knowsResume: true, winners: [][]byte{winnersFrame(tWinners, "30904465")}}
			secured := central.startTLS(t, always(i.central()))
			config.Address = secured.address
			log := completed(t, i.agency(config))
			log.await(t, "action: consulta_ganadores | result: success | cant_ganadores: 1")
			if name == "batch" {
				central.wantAll(rows)
			}
			if n := secured.calls.Load(); n != 1 {
				t.Errorf("%d connections, expected 1", n)
			}
		})
	}
}

// The agency shows its own certificate, in TLS 1.3, and asks for the host of the
// address, or for the name that it was given.
func TestShownCertificate(t *testing.T) {
	i := newIssuer(t)
	var seen tls.ConnectionState
	config := i.centralWith(i.pair(i.Central([]string{"central.example"}, time.Time{}, time.Time{})))
	config.MinVersion = tls.VersionTLS12
	config.VerifyConnection = func(state tls.ConnectionState) error { seen = state; return nil }
	central := &fake{knowsResume: true}
	run := i.agency(betConfig(central.startTLS(t, always(config)).address, 1))
	files := run.TLS
	run.TLS = func() (*tls.Config, error) {
		config, err := files()
		config.ServerName = "central.example"
		return config, err
	}
	completed(t, run)
	if agency, err := certs.AgencyOf(seen.PeerCertificates[0]); err != nil || agency != 1 {
		t.Errorf("it shows the certificate of agency %d: %v", agency, err)
	}
	if seen.Version != tls.VersionTLS13 || seen.ServerName != "central.example" {
		t.Errorf("it calls %q with version %x", seen.ServerName, seen.Version)
	}
}

// A central that is not of this lottery gets no bet, and is called once.
func TestCentralThatIsNotTrusted(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	central := func(i *issuer, times [2]time.Time, names ...string) tls.Certificate {
		return i.pair(i.Central(names, times[0], times[1]))
	}
	for name, test := range map[string]struct {
		certificate tls.Certificate
		says        []string
	}{
		"another authority": {central(other, thisYears, "127.0.0.1"), []string{"another authority than those in authority.pem (--tls-ca)"}},
		"another name":      {central(i, thisYears, "central.example"), []string{"under other names", "--tls-server-name", "127.0.0.1"}},
		"another address":   {central(i, thisYears, "127.0.0.2"), []string{"under other names", "127.0.0.2"}},
		"expired":           {central(i, longAgo, "127.0.0.1"), []string{"not valid now: renew it, or set the clock", "is after"}},
		"not yet valid":     {central(i, tomorrow, "127.0.0.1"), []string{"not valid now: renew it, or set the clock", "is before"}},
		"an agency's":       {i.pair(i.Agency(2, time.Time{}, time.Time{})), []string{"under other names"}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &fake{knowsResume: true}
			secured := fake.startTLS(t, always(i.centralWith(test.certificate)))
			log, err := runAgency(t, i.agency(batchConfig(t, secured.address, sampleRows(3))))
			secured.wantFinal(t, log, err, test.says...)
			fake.wantUncalled()
		})
	}
}

// In TLS 1.3 a central refuses the agency's certificate after the agency's
// handshake: the first read says so, or the one after a failed write.
func TestCertificateThatIsRefused(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	agency := func(i *issuer, times [2]time.Time) []tls.Certificate {
		return []tls.Certificate{i.pair(i.Agency(1, times[0], times[1]))}
	}
	for name, test := range map[string]struct {
		own  []tls.Certificate
		says string
	}{
		"another authority": {agency(other, thisYears), "refuses the certificate in agency-1.pem (--tls-cert), which is of another authority"},
		"expired":           {agency(i, longAgo), "refuses the certificate in agency-1.pem (--tls-cert), which is not valid now by its clock"},
		"not yet valid":     {agency(i, tomorrow), "which is not valid now by its clock"},
		"revoked":           {agency(i, thisYears), "which is revoked or of no agency of this lottery, as its log says"},
		"none":              {nil, "demands a certificate, and there was none"},
	} {
		for mode, config := range map[Mode]Config{
			ModeBatch:   batchConfig(t, "", sampleRows(3)),
			ModeWinners: winnersConfig(""),
		} {
			t.Run(name+" "+string(mode), func(t *testing.T) {
				theirs := i.central()
				if name == "revoked" {
					theirs.VerifyConnection = func(tls.ConnectionState) error { return errors.New("revoked") }
				}
				fake := &fake{knowsResume: true}
				secured := fake.startTLS(t, always(theirs))
				config.Address = secured.address
				log, err := runAgency(t, i.agencyWith(config, test.own...))
				secured.wantFinal(t, log, err, test.says)
				fake.wantUncalled()
			})
		}
	}
}

// A central that answers without TLS, or not in 1.3, is not called again.
func TestCentralWithoutTLS(t *testing.T) {
	i := newIssuer(t)
	old := i.central()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, test := range map[string]struct {
		handle func(p *peer)
		says   string
	}{
		"a frame": {func(p *peer) {
			p.send(refusal("too_long"))
			p.gone()
		}, "speaks no TLS: call its TLS port, or leave out --tls-ca, --tls-cert and --tls-key"},
		"a line": {func(p *peer) {
			p.send([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			p.gone()
		}, "speaks no TLS"},
		"an echo":              {func(p *peer) { _, _ = io.Copy(p, p) }, "speaks no TLS"},
		"an echo of the begin": {func(p *peer) { _, _ = io.CopyN(p, p, 6); p.gone() }, "speaks no TLS"},
		"an echo byte by byte": {func(p *peer) {
			for echoByte(p) {
			}
		}, "speaks no TLS"},
		"TLS 1.2":                {func(p *peer) { _ = tls.Server(p.Conn, old).Handshake() }, "speaks no TLS 1.3"},
		"an alert in its answer": {func(p *peer) { p.send([]byte{recordAlert, 3, 3, 0, 2, 2, 40}); p.gone() }, "speaks no TLS 1.3"},
		"a name it does not have": {func(p *peer) { p.send([]byte{recordAlert, 3, 3, 0, 2, 2, 112}); p.gone() },
			"is not known by that name: say with --tls-server-name"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &tlsCentral{}
			c.address = serve(t, func(_ int, p *peer) { c.calls.Add(1); test.handle(p) })
			log, err := runAgency(t, i.agency(batchConfig(t, c.address, sampleRows(3))))
			c.wantFinal(t, log, err, test.says)
		})
	}
}

func echoByte(p *peer) bool { n, _ := io.CopyN(p, p, 1); return n == 1 }

// An agency without TLS that calls a TLS port says so, however that answers, and
// does not take it for an existing central.
func TestCentralWithTLSOnly(t *testing.T) {
	for mode, config := range map[Mode]Config{
		ModeBatch:   batchConfig(t, "", sampleRows(3)),
		ModeBet:     betConfig("", 2),
		ModeWinners: winnersConfig(""),
		ModeEcho:    echoConfig("", 2),
	} {
		for name, pieces := range map[string][][]byte{
			"an alert":           {{recordAlert, 3, 1, 0, 2, 2, 70}},
			"an alert in pieces": {{recordAlert}, {3, 3, 0, 2}, {2, 10}},
			"a handshake":        {{recordHandshake, 3, 3, 0, 1, 0}},
			"a frame":            {refusal("tls_required")},
		} {
			if mode == ModeEcho && name == "a frame" {
				continue // an echo has no answer with a frame
			}
			t.Run(string(mode)+" "+name, func(t *testing.T) {
				c := &tlsCentral{}
				c.address = serve(t, func(_ int, p *peer) {
					c.calls.Add(1)
					_, _ = p.Read(make([]byte, 100))
					for _, piece := range pieces {
						p.send(piece)
					}
					_ = p.Conn.(*net.TCPConn).CloseWrite()
					p.gone()
				})
				config.Address = c.address
				log, err := runAgency(t, config)
				c.wantFinal(t, log, err, "speaks TLS there, and this agency does not: give it --tls-ca, --tls-cert and --tls-key")
			})
		}
	}
}

// Errors of a handshake, or just after it, while a central starts, stops or is full
// are temporary: it is called again, and gets everything.
func TestHandshakeThatPasses(t *testing.T) {
	i := newIssuer(t)
	good := i.central()
	for name, fail := range map[string]func(conn net.Conn){
		"closed at once":        func(net.Conn) {},
		"reset":                 func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) },
		"closed on the hello":   func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) },
		"cut in its answer":     func(conn net.Conn) { _, _ = conn.Write([]byte{recordHandshake, 3, 3, 0, 100, 2}) },
		"it has a problem":      func(conn net.Conn) { _, _ = conn.Write([]byte{recordAlert, 3, 3, 0, 2, 2, 80}) },
		"it goes":               func(conn net.Conn) { _, _ = conn.Write([]byte{recordAlert, 3, 3, 0, 2, 1, 0}) },
		"closed once it stands": func(conn net.Conn) { _ = tls.Server(conn, good).Handshake() },
		"reset once it stands": func(conn net.Conn) {
			_ = tls.Server(conn, good).Handshake()
			_ = conn.(*net.TCPConn).SetLinger(0)
		},
		"rubbish once it stands": func(conn net.Conn) {
			secured := tls.Server(conn, good)
			_, _ = secured.Read(make([]byte, 100))
			_, _ = conn.Write([]byte("HTTP/1.1 502 Bad Gateway\r\n\r\n"))
		},
		"closed on RESUME": func(conn net.Conn) {
			secured := tls.Server(conn, good)
			_, _ = secured.Read(make([]byte, 100))
			_ = secured.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			central := &fake{t: t, knowsResume: true}
			address := serve(t, func(n int, p *peer) {
				if n <= resumeClosings+1 {
					fail(p.Conn)
					return
				}
				secured := tls.Server(p.Conn, good)
				defer secured.Close()
				central.handle(&peer{secured, t})
			})
			rows := sampleRows(25)
			log := completed(t, i.agency(batchConfig(t, address, rows)))
			central.wantAll(rows)
			if lines := log.with("action: connect | result: in_progress"); len(lines) != resumeClosings+1 {
				t.Errorf("the log says %q, expected a line about each of %d calls", lines, resumeClosings+1)
			}
		})
	}
}

// A handshake in which a central says nothing ends after the timeout of a call, and
// the central is called again.
func TestHandshakeThatStalls(t *testing.T) {
	i := newIssuer(t)
	central := &fake{t: t, knowsResume: true}
	secured := central.startTLS(t, func(n int) *tls.Config {
		config := i.central()
		if n == 1 {
			config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				_, _ = io.Copy(io.Discard, hello.Conn) // until the agency has closed it
				return nil, nil
			}
		}
		return config
	})
	config := i.agency(batchConfig(t, secured.address, sampleRows(3)))
	config.ConnectTimeout = 500 * time.Millisecond
	config.ConnectLimit = 1000 // however busy the machine is
	log := completed(t, config)
	central.wantStored(sampleRows(3))
	if lines := log.with("action: connect | result: in_progress"); len(lines) == 0 || !strings.Contains(lines[0], "the TLS handshake: not done after 500ms") {
		t.Errorf("the log says %q", lines)
	}
}

// Connections that are cut, at any place, lose and repeat nothing. The central
// has another certificate each time, as after a renewal, and so has the agency.
func TestCutsOverTLS(t *testing.T) {
	i := newIssuer(t)
	var mu sync.Mutex
	shown := map[string]bool{}
	central := &fake{knowsResume: true}
	central.onBatch = func(n int) ([]byte, bool) { return nil, n%3 == 0 && len(central.batches) < 12 && central.once(n) }
	secured := central.startTLS(t, func(int) *tls.Config {
		config := i.central()
		config.VerifyConnection = func(state tls.ConnectionState) error {
			mu.Lock()
			defer mu.Unlock()
			shown[state.PeerCertificates[0].SerialNumber.String()] = true
			return nil
		}
		return config
	})
	rows := sampleRows(250)
	config := batchConfig(t, secured.address, rows)
	config.TLS = func() (*tls.Config, error) {
		return &tls.Config{RootCAs: i.pool, Certificates: []tls.Certificate{i.pair(i.Agency(1, time.Time{}, time.Time{}))}}, nil
	}
	completed(t, config)
	central.wantAll(rows)
	if calls := int(secured.calls.Load()); calls < 3 || len(shown) != calls {
		t.Errorf("%d connections and %d certificates, expected as many, and several", calls, len(shown))
	}
}

// once reports true the first time that it is asked of n.
func (f *fake) once(n int) bool {
	if slices.Contains(f.cut, n) {
		return false
	}
	f.cut = append(f.cut, n)
	return true
}

// When its certificate is revoked while the agency waits for the draw, the central
// closes the connection and refuses the next one, which ends the run.
func TestRevokedWhileConnected(t *testing.T) {
	i := newIssuer(t)
	var revoked atomic.Bool
	config := i.central()
	config.VerifyConnection = func(tls.ConnectionState) error {
		if revoked.Load() {
			return errors.New("revoked")
		}
		return nil
	}
	c := serveTLS(t, always(config), func(p *peer) {
		p.expect(tQuery)
		revoked.Store(true)
	})
	log, err := runAgency(t, i.agency(winnersConfig(c.address)))
	wantFailure(t, log, err, "connect", "the central "+c.address+" refuses the certificate in agency-1.pem (--tls-cert), which is revoked")
	if n := c.calls.Load(); n != 2 {
		t.Errorf("the central was called %d times, expected 2", n)
	}
}

// Unfit addresses are left for fit ones, whatever is wrong there, and not called
// again.
func TestUnfitAddresses(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	plain := serve(t, func(_ int, p *peer) { p.send(refusal("too_long")); p.gone() })
	unfit := func() []*tlsCentral {
		theirs := i.central()
		theirs.ClientCAs = other.pool
		return []*tlsCentral{
			serveTLS(t, always(other.central()), func(*peer) {}),
			serveTLS(t, always(theirs), func(*peer) {}),
		}
	}
	list := func(centrals []*tlsCentral, more ...string) string {
		for _, c := range centrals {
			more = append(more, c.address)
		}
		return strings.Join(more, ",")
	}
	t.Run("another one is good", func(t *testing.T) {
		for _, config := range []Config{batchConfig(t, "", sampleRows(25)), winnersConfig("")} {
			central := &fake{knowsResume: true}
			bad := unfit()
			secured := central.startTLS(t, always(i.central()))
			config.Address = list(append(bad, secured), refusing(t), plain)
			config.ConnectLimit = 1
			log := completed(t, i.agency(config))
			if lines := log.with("action: connect | result: in_progress"); len(lines) != 4 {
				t.Errorf("the log says %q, expected a line about each of four", lines)
			}
			for _, c := range bad {
				if n := c.calls.Load(); n != 1 {
					t.Errorf("an address of no use was called %d times", n)
				}
			}
		}
	})
	t.Run("none", func(t *testing.T) {
		bad := unfit()
		log, err := runAgency(t, i.agency(batchConfig(t, list(bad, plain), sampleRows(3))))
		wantFailure(t, log, err, "connect", "refuses the certificate in agency-1.pem")
		if lines := log.with("action: connect | result: in_progress"); len(lines) != 2 || !strings.HasSuffix(lines[1], "; it is called no more") {
			t.Errorf("the log says %q, expected a line about each but the last", lines)
		}
	})
	t.Run("the others are away", func(t *testing.T) {
		bad, away := unfit(), refusing(t)
		config := i.agency(batchConfig(t, list(bad, away), sampleRows(3)))
		config.ConnectLimit = 3
		log, err := runAgency(t, config)
		wantFailure(t, log, err, "connect", "the central "+away+" cannot be reached, given up after 3 attempts")
	})
}

// pacer is a connection whose writes go out in pieces, with a call of next before each.
type pacer struct {
	net.Conn
	next func()
}

func (p *pacer) Write(b []byte) (int, error) {
	for i := range b {
		p.next()
		if _, err := p.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// The deadline of a read, after which the log reminds of what is waited for, may
// pass within a record of TLS: nothing of it is lost.
func TestReminderWithinRecord(t *testing.T) {
	i := newIssuer(t)
	log := newRecord()
	address := serve(t, func(_ int, p *peer) {
		reminders := 0
		paced := &pacer{Conn: p.Conn, next: func() {}}
		secured := tls.Server(paced, i.central())
		slow := &peer{secured, t}
		if _, ok := slow.expect(tQuery); !ok {
			return
		}
		paced.next = func() { reminders++; log.awaitCount(t, "action: consulta_ganadores | result: in_progress", reminders) }
		slow.send(winnersFrame(tWinners, "30904465"))
	})
	a := testAgency(i.agency(winnersConfig(address)), log)
	a.remind = reminder{first: time.Millisecond, every: time.Millisecond}
	if err := a.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	log.await(t, "action: consulta_ganadores | result: success | cant_ganadores: 1")
	log.wantNoFail(t)
}

// A stop ends a handshake that stalls, a wait for the draw, and a write that the
// central does not take, and closes the connection.
func TestStopOverTLS(t *testing.T) {
	i := newIssuer(t)
	for name, handle := range map[string]func(p *peer, secured *tls.Conn, reached func()){
		"in the handshake": func(p *peer, _ *tls.Conn, reached func()) {
			_, _ = p.Read(make([]byte, 1))
			reached()
		},
		"before the answer": func(_ *peer, secured *tls.Conn, reached func()) {
			_, _ = secured.Read(make([]byte, 100))
			reached()
		},
		"while it is not read": func(p *peer, secured *tls.Conn, reached func()) {
			slow := &peer{secured, p.t}
			slow.expect(tResume)
			slow.send(nothing)
			reached()
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			gone := make(chan struct{})
			address := serve(t, func(_ int, p *peer) {
				handle(p, tls.Server(p.Conn, i.central()), stop)
				p.gone()
				close(gone)
			})
			config := i.agency(batchConfig(t, address, sampleRows(100_000)))
			config.Window, config.BatchMaxAmount = 4096, 100
			log := newRecord()
			if err := testAgency(config, log).run(ctx); !errors.Is(err, ErrStopped) {
				t.Errorf("the run ends with %v, expected ErrStopped", err)
			}
			log.wantNoFail(t)
			select {
			case <-gone:
			case <-time.After(testLimit):
				t.Error("the connection stays open")
			}
		})
	}
}

// An unreadable certificate ends the run before the central is called.
func TestUnreadableCertificate(t *testing.T) {
	central := &fake{}
	config := batchConfig(t, central.start(t), sampleRows(3))
	config.TLS = func() (*tls.Config, error) { return nil, errors.New("agency-1.pem has no certificate") }
	log, err := runAgency(t, config)
	wantFailure(t, log, err, "connect", "agency-1.pem has no certificate")
	central.wantUncalled()
}

// There is no echo over TLS.
func TestNoEchoOverTLS(t *testing.T) {
	config := newIssuer(t).agency(echoConfig("127.0.0.1:1", 1))
	log, err := runAgency(t, config)
	wantFailure(t, log, err, "config", "mode: echo goes only without TLS")
}

// The alerts have the texts by which alertIn recognizes them.
func TestAlertTexts(t *testing.T) {
	for alert := tls.AlertError(0); alert < 255; alert++ {
		got := alertIn(fmt.Errorf("read: %w", &net.OpError{Op: "remote error", Err: alert}))
		if want := alert; want < alertHandshakeFailure || want > alertCertificateRequired {
			if got != 0 {
				t.Errorf("alert %d is taken for %d", alert, got)
			}
		} else if got != want {
			t.Errorf("alert %d is taken for %d", alert, got)
		}
	}
	if alertIn(&net.OpError{Op: "read", Err: alertBadCertificate}) != 0 {
		t.Error("an error of this side is taken for the peer's")
	}
}
