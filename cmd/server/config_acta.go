package main

import "loteria/cmd/internal/settings"

// actaConfig is the acta of the draw: its key, and what is to be verified.
type actaConfig struct{}

func addActaSettings(s *settings.Set, c *config) {}
