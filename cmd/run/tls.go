package main

import (
	"fmt"
	"path/filepath"
)

// credentials is a folder as cmd/certs makes it, with the certificates of the
// central and of the agencies. Empty is a lottery without TLS.
type credentials string

// central returns where a central listens: on a free port of this machine, with
// TLS on no other.
func (c credentials) central() []string {
	if c == "" {
		return []string{"--bind", "127.0.0.1", "--port", "0"}
	}
	return append([]string{"--port", "off", "--tls-bind", "127.0.0.1", "--tls-port", "0",
		"--tls-client-ca", c.file("authority.pem")}, c.own("central")...)
}

// agency returns how an agency proves who it is, and knows the central.
func (c credentials) agency(id int) []string {
	if c == "" {
		return nil
	}
	return append([]string{"--tls-ca", c.file("authority.pem")}, c.own(fmt.Sprintf("agency-%d", id))...)
}

func (c credentials) own(name string) []string {
	return []string{"--tls-cert", c.file(name + ".pem"), "--tls-key", c.file(name + "-key.pem")}
}

func (c credentials) file(name string) string { return filepath.Join(string(c), name) }
