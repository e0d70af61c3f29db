package main

import "loteria/cmd/internal/settings"

// adminAccess is who may see the admin port.
type adminAccess struct{}

func addAdminAccessSettings(s *settings.Set, c *config) {}
