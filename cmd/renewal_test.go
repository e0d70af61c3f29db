//go:build linux

package cmd_test

import (
	"bytes"
	"crypto/tls"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"loteria/codec"
	"loteria/internal/certs"
	"loteria/lottery"
)

// renewer renews certificates while a round is played: those of the agencies at any
// time, and the central's when it has read the one before.
type renewer struct {
	r       *round
	rng     *rand.Rand
	next    int    // bets acknowledged to all agencies together, when it is time again
	pending string // serial number of the certificate that the central must read, empty is none
}

// renewEvery is about how many bets are stored from one renewal to the next.
const renewEvery = 4000

// renewing renews certificates in the round, besides what it does already.
func renewing(r *round, rng *rand.Rand) {
	n := &renewer{r: r, rng: rng, next: renewEvery / 2}
	stir := r.stir
	r.stir = func(from *process, said map[string]string) {
		stir(from, said)
		n.stir(from, said)
	}
}

func (n *renewer) stir(from *process, said map[string]string) {
	r := n.r
	r.t.Helper()
	switch {
	case from == r.central && said["action"] == "reload_certificates" && said["serial"] == n.pending:
		r.tally.renewals++
		n.pending = ""
		n.probe(said["serial"])
	case from == r.central && said["action"] == "listen":
		n.pending = "" // it has read all files anew
	case r.listening && r.alive(r.central) && n.pending == "" && r.allAcked() >= n.next:
		n.next += renewEvery/2 + n.rng.IntN(renewEvery)
		n.renew()
	}
}

// renew replaces the files of the central and of an agency, and asks the central to
// read them, unless it must find them by itself.
func (n *renewer) renew() {
	r := n.r
	r.t.Helper()
	if err := r.transport.certificates.RenewAgency(1 + n.rng.IntN(agencies)); err != nil {
		r.t.Fatal(err)
	}
	err := r.transport.certificates.RenewCentral()
	if err == nil {
		n.pending, err = r.transport.certificates.CentralSerial()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	// To find the first one by itself may take the central longer than the lottery.
	if r.tally.renewals == 0 || !chance(n.rng, 4) {
		r.central.Signal(syscall.SIGUSR1) // it may have been killed just now
	}
}

// probe checks which certificate a new connection gets.
func (n *renewer) probe(want string) {
	r := n.r
	r.t.Helper()
	config, err := r.transport.credentials(1)
	if err != nil {
		r.t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", r.address, config)
	if err != nil {
		if r.alive(r.central) {
			r.fail("after a renewal: %v", err)
		}
		return
	}
	defer conn.Close()
	if got := certs.SerialOf(conn.ConnectionState().PeerCertificates[0]); got != want {
		r.fail("the central has the certificate %s, and says that it has read %s", got, want)
	}
}

// TestRenewed renews all certificates, one after the other, while agencies whose
// connections are cut again and again play with them.
func TestRenewed(t *testing.T) {
	in := readInput(t, "../.data")
	rng := rand.New(rand.NewPCG(seeded(t), 0))
	r := newRoundOver(t, overTLS(t, agencies), in, 50, 8)
	renewing(r, rng)
	var budget atomic.Int64
	budget.Store(20)
	reach := map[int]string{}
	for id := 1; id <= agencies; id++ {
		p := startProxy(t, r.transport, r.address, rng.Uint64(), id, &budget, time.Second)
		reach[id] = p.address()
	}
	r.reach = func(id int) string { return reach[id] }
	r.play()
	if r.tally.renewals == 0 {
		t.Error("the central has read no new certificate")
	}
	t.Log(r.tally)
}

// TestRevoked revokes the certificate of an agency that is sending. Its connection
// is closed, its next one is refused, with all that is sent right after the
// handshake; and nothing of that is stored any more. With a valid certificate, it
// goes on where it was.
func TestRevoked(t *testing.T) {
	const rows = 300
	refused := regexp.MustCompile(`^client: .*refuses the certificate in .*agency-1\.pem.*\n$`)
	for name, test := range map[string]struct {
		entry  func(t *testing.T, over transport) string
		mended func(over transport) error
	}{
		"the agency": {
			func(*testing.T, transport) string { return "agency 1" },
			func(over transport) error { return over.certificates.Revoke() },
		},
		"the certificate": {
			func(t *testing.T, over transport) string {
				serial, err := over.certificates.AgencySerial(1)
				if err != nil {
					t.Fatal(err)
				}
				return "serial " + serial
			},
			func(over transport) error { return over.certificates.RenewAgency(1) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, _ := someInput(t, rows)
			over := overTLS(t, agencies)
			r := newRoundOver(t, over, in, 10, 4)
			failed := false
			r.stir = func(from *process, said map[string]string) {
				failed = failed || said["action"] == "reload_certificates" && said["result"] == "fail"
			}
			r.startCentral()
			for id := range in.counts {
				if id > 1 {
					r.startAgency(id)
				}
			}
			p := r.startAgencyWith(1, "--loop-period", "1s") // the revocation finds it betting
			r.until("some bets are stored", func() bool { return r.acked[1] >= 20 })
			if err := over.certificates.Revoke("# stolen", test.entry(t, over)); err != nil {
				t.Fatal(err)
			}
			r.mayFail = "revoked" // the central says who it was, and why
			r.central.Signal(syscall.SIGUSR1)
			r.endOf(p)
			if said := p.stderr.String(); p.ExitCode() != 1 || !refused.MatchString(said) {
				r.fail("the revoked agency exits with %d and says %q, expected %v", p.ExitCode(), said, refused)
			}
			before, err := in.inspect(r.ledger())
			if err != nil || before.counts[1] < 20 || before.counts[1] >= rows {
				t.Fatalf("stored of the revoked agency are %d bets and %v", before.counts[1], err)
			}
			if said := r.refused(1); !refused.MatchString(said) {
				t.Errorf("when it is started again it says %q, expected %v", said, refused)
			}
			betBlindly(t, r, 1, before.counts[1])
			// A list that cannot be read restores nothing.
			if err := over.certificates.Revoke("agency seven"); err != nil {
				t.Fatal(err)
			}
			r.mayFail = "revoked"
			r.central.Signal(syscall.SIGUSR1)
			r.until("the central has read the list", func() bool { return failed })
			betBlindly(t, r, 1, before.counts[1])
			if after, err := in.inspect(r.ledger()); err != nil || after.counts[1] != before.counts[1] {
				t.Errorf("stored of the revoked agency are %d bets and %v, before there were %d", after.counts[1], err, before.counts[1])
			}
			if err := test.mended(over); err != nil {
				t.Fatal(err)
			}
			r.central.Signal(syscall.SIGUSR1)
			r.startAgency(1)
			r.until("all agencies know their winners", r.over)
			r.stopCentral()
			r.judge()
		})
	}
}

// betBlindly sends the agency's next bets right behind its handshake, which is done
// for a client before the central has seen its certificate.
func betBlindly(t *testing.T, r *round, id, stored int) {
	t.Helper()
	const times = 20
	fields := strings.Split(strings.TrimSuffix(string(bytes.SplitAfter(r.in.bytes[id], []byte("\r\n"))[stored]), "\r\n"), ",")
	raw := lottery.RawBet{Agency: fields[0], FirstName: fields[1], LastName: fields[2], Document: fields[3], Birthdate: fields[4], Number: fields[5]}
	frames := mustFrames(&codec.Resume{Agency: fields[0]}, &codec.Batch{RawBets: []lottery.RawBet{raw}}, &codec.Finished{Agency: fields[0]})
	config, err := r.transport.credentials(id)
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		p, err := dialHostile(r.address, hostileSource(0))
		if err != nil {
			t.Fatal(err)
		}
		if p.secure(config) == nil {
			_, _ = p.Write(frames)
			if answer, err := p.next(); err == nil {
				t.Errorf("the central answers %v to the revoked agency", answer.Type)
			}
		}
		p.reset()
	}
}
