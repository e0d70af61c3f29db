package agency

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"loteria/codec"
)

// TLSFiles are the files behind Config.TLS. Errors name them; either may be empty.
type TLSFiles struct {
	Authorities string // that issue the central's certificate
	Certificate string // the agency's
}

// unfitError says that an address is useless to this agency, however often it is
// called: the server there is not the central, speaks TLS where the agency does not,
// or the other way round, or refuses the agency's certificate.
type unfitError struct {
	address string
	text    string // what is wrong and what to do, without the address
	err     error  // may be nil
}

func (e *unfitError) Error() string {
	text := "the central " + e.address + " " + e.text
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	return text
}
func (e *unfitError) Unwrap() error { return e.err }

func isUnfit(err error) bool { return errors.As(err, new(*unfitError)) }

// leave drops an unfit address if there are others, and reports whether it did.
func (a *agency) leave(err error) bool {
	unfit := (*unfitError)(nil)
	if !errors.As(err, &unfit) || !a.rotation.drop(unfit.address) {
		return false
	}
	a.step(a.log.Warn(), "connect", "in_progress").Str("server_address", unfit.address).
		Str("next", a.rotation.address()).Str("reason", err.Error()+"; it is called no more").Send()
	return true
}

// secure does the handshake on a connection to the address. When it returns an
// error, the connection is closed. The error is that of unfit when another call
// would end in the same way.
func (a *agency) secure(ctx context.Context, address string, conn net.Conn, config *tls.Config) (*tls.Conn, error) {
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
	config.DynamicRecordSizingDisabled = true // small records are for browsers, which show what they have
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	if own := config.Certificates; config.GetClientCertificate == nil && len(own) > 0 {
		// Otherwise one whose authority the central does not name is not sent at all, and
		// the central can only say that there was none.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own[0], nil }
	}
	ctx, cancel := context.WithTimeout(ctx, a.config.ConnectTimeout)
	defer cancel()
	secured := tls.Client(&helloConn{Conn: conn}, config)
	err := secured.HandshakeContext(ctx)
	if err == nil {
		return secured, nil
	}
	_ = conn.Close()
	if unfit := a.unfit(address, err); unfit != nil {
		return nil, unfit
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("not done after %v", a.config.ConnectTimeout)
	}
	return nil, fmt.Errorf("the TLS handshake: %w", err)
}

// unfit returns the *failure for an address at which a handshake, or the first
// read after it, has ended with err, or nil when the next call may do better. A
// central that stops or starts ends no handshake in one of these ways.
func (a *agency) unfit(address string, err error) error {
	text := a.distrust(err)
	if text == "" {
		text = a.distrusted(err)
	}
	// Only the first record has the connection in its error; garbage later is an accident.
	header := tls.RecordHeaderError{}
	if text == "" && (errors.As(err, &header) && header.Conn != nil || errors.Is(err, errEchoed)) {
		text = "speaks no TLS: call its TLS port, or leave out --tls-ca, --tls-cert and --tls-key"
	}
	if text == "" {
		return nil
	}
	return failed("connect", &unfitError{address, text, err})
}

// distrust says why the agency does not trust the central, or "".
func (a *agency) distrust(err error) string {
	invalid := x509.CertificateInvalidError{}
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Sprintf("has a certificate of another authority than those in %s: give that of this lottery, or call its central",
			named(a.config.TLSFiles.Authorities, "--tls-ca"))
	case errors.As(err, new(x509.HostnameError)):
		return "has a certificate under other names: call it by one of them, or say with --tls-server-name by which it is known"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "has a certificate that is not valid now: renew it, or set the clock of this machine"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "has a certificate that is not a central's"
	}
	return ""
}

// Alerts with which a central refuses a handshake for good (RFC 8446, 6.2). In
// TLS 1.3 those about the agency's certificate come when the agency's handshake is
// done. The others are left out: internal_error, for one, passes.
const (
	alertHandshakeFailure     tls.AlertError = 40
	alertBadCertificate       tls.AlertError = 42
	alertUnsupported          tls.AlertError = 43
	alertCertificateRevoked   tls.AlertError = 44
	alertCertificateExpired   tls.AlertError = 45
	alertCertificateUnknown   tls.AlertError = 46
	alertUnknownAuthority     tls.AlertError = 48
	alertAccessDenied         tls.AlertError = 49
	alertProtocolVersion      tls.AlertError = 70
	alertInsufficientSecurity tls.AlertError = 71
	alertUnrecognizedName     tls.AlertError = 112
	alertCertificateRequired  tls.AlertError = 116
)

// distrusted says why the central has refused a connection for good, or "".
func (a *agency) distrusted(err error) string {
	own := named(a.config.TLSFiles.Certificate, "--tls-cert")
	switch alertIn(err) {
	case alertUnknownAuthority:
		return fmt.Sprintf("refuses the certificate in %s, which is of another authority: use one of this lottery", own)
	case alertCertificateExpired:
		return fmt.Sprintf("refuses the certificate in %s, which is not valid now by its clock: renew it", own)
	case alertCertificateRequired:
		return fmt.Sprintf("demands a certificate, and there was none: give the agency's (%s)", own)
	case alertBadCertificate, alertUnsupported, alertCertificateRevoked, alertCertificateUnknown, alertAccessDenied:
		return fmt.Sprintf("refuses the certificate in %s, which is revoked or of no agency of this lottery, as its log says: get another", own)
	case alertHandshakeFailure, alertProtocolVersion, alertInsufficientSecurity:
		return "speaks no TLS 1.3: expected is a central of this lottery"
	case alertUnrecognizedName:
		return "is not known by that name: say with --tls-server-name by which it is"
	}
	return ""
}

// alertIn returns the peer's alert in err, or 0. Package tls exports its text, but
// not its number.
func alertIn(err error) tls.AlertError {
	remote := (*net.OpError)(nil)
	if !errors.As(err, &remote) || remote.Op != "remote error" {
		return 0
	}
	for alert := alertHandshakeFailure; alert <= alertCertificateRequired; alert++ {
		if alert.Error() == remote.Err.Error() {
			return alert
		}
	}
	return 0
}

// errEchoed is why a handshake fails with a central that takes it for an echo line.
var errEchoed = errors.New("it sends back what it gets")

// A server's first record holds a ServerHello (RFC 8446, 4 and 5.1).
const (
	helloAt     = 5 // after the record's header
	clientHello = 1
)

// helloConn is a connection on which a central without TLS may send back what it
// gets: only the first line of it, so that the handshake would wait for its timeout.
type helloConn struct {
	net.Conn
	begin []byte // of what was read, up to the type of the first message
}

// Read implements net.Conn. The error is errEchoed when what comes is a client's
// hello.
func (c *helloConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if missing := helloAt + 1 - len(c.begin); missing > 0 && n > 0 {
		c.begin = append(c.begin, b[:min(n, missing)]...)
		if len(c.begin) > helloAt && c.begin[0] == recordHandshake && c.begin[helloAt] == clientHello {
			return 0, errEchoed
		}
	}
	return n, err
}

// named returns a file with the setting that names it.
func named(file, setting string) string {
	if file == "" {
		return setting
	}
	return file + " (" + setting + ")"
}

// Types of the first record of a TLS answer (RFC 8446, 5.1). A frame that begins so
// would have more than 300 MB.
const (
	recordAlert     = 0x15
	recordHandshake = 0x16
)

// errSpeaksTLS is for an agency without TLS that calls a central's TLS port.
func errSpeaksTLS(address string) error {
	return failed("connect", &unfitError{address: address,
		text: "speaks TLS there, and this agency does not: give it --tls-ca, --tls-cert and --tls-key, or call the port without TLS"})
}

// demandsTLS reports whether an answer without TLS says that TLS is required.
func demandsTLS(answer codec.Frame) bool {
	var refusal codec.Error
	return answer.Type == codec.TypeError && refusal.Decode(answer.Payload) == nil && refusal.Code == codec.TLSRequired
}

// isTLS reports whether the first bytes of an answer are TLS.
func isTLS(answer []byte) bool {
	return len(answer) > 0 && (answer[0] == recordAlert || answer[0] == recordHandshake)
}
