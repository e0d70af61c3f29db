package main

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"os"

	"loteria/cmd/internal/settings"
	"loteria/lottery/acta"
)

// actaConfig holds the keys of the acta, and what to verify.
type actaConfig struct {
	key       string // file of the key that it is signed with; empty signs nothing
	publicKey string // file of the key that must have signed it; empty is any, or none
	verify    string // only verify this folder's acta
}

func addActaSettings(s *settings.Set, c *config) {
	settings.Add(s, &c.acta.key, settings.Setting{
		Key: "ACTA_KEY", Flag: "acta-key", Env: "ACTA_KEY",
		About: "file with the Ed25519 key, PEM (PKCS #8), that signs the acta of the draw; a contest whose acta has another signature or none does not start; empty signs nothing",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.acta.publicKey, settings.Setting{
		Flag:  "acta-public-key",
		About: "file with the Ed25519 public key, PEM, whose signature --verify and --check expect",
	}, settings.Path().OrAbsent())
	settings.Add(s, &c.acta.verify, settings.Setting{
		Flag:  "verify",
		About: "only read the folder of a contest that is drawn, say whether its acta.json is that of its bets.csv, and change nothing",
	}, settings.Text().OrAbsent())
}

// signingKey returns the key that an acta is signed with, or nil.
func (c actaConfig) signingKey() (ed25519.PrivateKey, error) {
	return readKey(c.key, "ACTA_KEY", acta.ParseKey)
}

// signer returns the key that an acta must be signed with, or nil.
func (c actaConfig) signer() (ed25519.PublicKey, error) {
	if c.publicKey != "" {
		return readKey(c.publicKey, "--acta-public-key", acta.ParsePublicKey)
	}
	key, err := c.signingKey()
	return publicOf(key), err
}

// publicOf returns the public key of one that signs; nil has none.
func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	if key == nil {
		return nil
	}
	return key.Public().(ed25519.PublicKey)
}

// maxKeyFile bounds a key's file, in bytes; the longest that openssl writes has
// less than a thousand.
const maxKeyFile = 64 << 10

// readKey reads the file of a setting. The error is a *settings.Error.
func readKey[K any](path, setting string, parse func([]byte) (K, error)) (key K, err error) {
	if path == "" {
		return key, nil
	}
	text, err := readShort(path)
	if err == nil {
		if key, err = parse(text); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil {
		return key, &settings.Error{Key: setting, Problem: "cannot be used: " + err.Error()}
	}
	return key, nil
}

// readShort returns at most maxKeyFile bytes of a file, as a device has no end. It
// may be a pipe that a shell writes to.
func readShort(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxKeyFile))
}
