package acta

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ParseKey reads an Ed25519 key to sign with: PEM, PKCS #8, not encrypted, as
// openssl genpkey -algorithm ed25519 writes it. Errors contain nothing of the key.
func ParseKey(file []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(file)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("it has %s, expected is a PRIVATE KEY (PEM, PKCS #8, not encrypted)", typeOf(block))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("its PRIVATE KEY is none that can be read (PKCS #8)")
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("its key is not one of Ed25519")
	}
	return private, nil
}

// ParsePublicKey reads an Ed25519 key to verify with: PEM, SubjectPublicKeyInfo, as
// openssl pkey -pubout writes it.
func ParsePublicKey(file []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(file)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("it has %s, expected is a PUBLIC KEY (PEM)", typeOf(block))
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("its PUBLIC KEY cannot be read: %w", err)
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("its key is not one of Ed25519")
	}
	return public, nil
}

func typeOf(block *pem.Block) string {
	if block == nil {
		return "nothing that is PEM"
	}
	return fmt.Sprintf("a %.40s", block.Type)
}
