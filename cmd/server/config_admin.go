package main

import "loteria/cmd/internal/settings"

// adminAccess says who may use the admin port.
type adminAccess struct {
	tokenFile string // file with the token to present; empty asks for none
	tls       bool   // with the central's certificate
}

func addAdminAccessSettings(s *settings.Set, c *config) {
	settings.Add(s, &c.adminAccess.tokenFile, settings.Setting{
		Key: "ADMIN_TOKEN_FILE", Flag: "admin-token-file", Env: "ADMIN_TOKEN_FILE",
		About: "file whose first line whoever asks there has to know, as Bearer token or as password of any user; read again when it changes; empty asks for nothing",
	}, settings.Path().OrEmpty())
	settings.Add(s, &c.adminAccess.tls, settings.Setting{
		Key: "ADMIN_TLS", Flag: "admin-tls", Env: "ADMIN_TLS", Default: "false",
		About: "HTTPS there, with the central's certificate; nobody has to show one",
	}, settings.Bool())
}

// checkAdminAccess returns an error when ADMIN_TLS is set without a certificate. It
// ignores both settings without an admin port.
func checkAdminAccess(s *settings.Set, c *config) error {
	if c.admin == "" {
		s.Ignore("is for the admin port, and there is none", "ADMIN_TOKEN_FILE", "ADMIN_TLS")
		c.adminAccess = adminAccess{}
	}
	if c.adminAccess.tls {
		return s.Require("ADMIN_TLS is set, and HTTPS needs the central's certificate", "TLS_CERT", "TLS_KEY")
	}
	return nil
}
