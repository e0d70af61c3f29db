package main

import "loteria/cmd/internal/settings"

// tlsConfig is the port on which agencies prove who they are.
type tlsConfig struct{}

func addTLSSettings(s *settings.Set, c *config) {}
