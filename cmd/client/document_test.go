package main

import (
	"testing"

	"loteria/cmd/internal/settings/settingstest"
)

func TestConfigurationDocument(t *testing.T) {
	settingstest.Document(t, "../../docs/configuration.md", "the agency", table(new(config)))
}
