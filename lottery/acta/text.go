package acta

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"

	"loteria/lottery"
)

// The values of an acta that are written as texts. A text that cannot be read
// becomes a value that is written otherwise, so Parse finds its line.

// Digest is a SHA-256, written in hexadecimal.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It never fails.
func (d *Digest) UnmarshalText(text []byte) error {
	*d = Digest{}
	if len(text) == hex.EncodedLen(len(d)) {
		_, _ = hex.Decode(d[:], text)
	}
	return nil
}

// Bytes are written in base64.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It never fails.
func (b *Bytes) UnmarshalText(text []byte) error {
	*b, _ = base64.StdEncoding.Strict().AppendDecode(nil, text)
	return nil
}

// PublicKey is written as a PEM file has it between its two lines: its
// SubjectPublicKeyInfo (RFC 8410) in base64.
type PublicKey ed25519.PublicKey

func (k PublicKey) String() string {
	text, _ := k.MarshalText()
	return string(text)
}

// MarshalText implements encoding.TextMarshaler.
func (k PublicKey) MarshalText() ([]byte, error) {
	if len(k) != ed25519.PublicKeySize {
		return nil, nil
	}
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(k))
	if err != nil {
		return nil, err
	}
	return Bytes(der).MarshalText()
}

// UnmarshalText implements encoding.TextUnmarshaler. It never fails.
func (k *PublicKey) UnmarshalText(text []byte) error {
	var der Bytes
	_ = der.UnmarshalText(text)
	key, _ := x509.ParsePKIXPublicKey(der)
	public, _ := key.(ed25519.PublicKey)
	*k = PublicKey(public)
	return nil
}

// Ending is how an agency's betting has ended, written finished or missing.
type Ending lottery.Ending

func (e Ending) String() string {
	switch lottery.Ending(e) {
	case lottery.Finished:
		return "finished"
	case lottery.Missing:
		return "missing"
	}
	return "open"
}

// MarshalText implements encoding.TextMarshaler.
func (e Ending) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It never fails.
func (e *Ending) UnmarshalText(text []byte) error {
	*e = Ending(lottery.Open)
	for _, how := range []lottery.Ending{lottery.Finished, lottery.Missing} {
		if Ending(how).String() == string(text) {
			*e = Ending(how)
		}
	}
	return nil
}
