package main

import "loteria/cmd/internal/settings"

// outputConfig is what of a contest is to be written, and how.
type outputConfig struct{}

func addOutputSettings(s *settings.Set, c *config) {}
