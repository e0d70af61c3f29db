package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // an image without a system has no zones of its own

	"loteria/cmd/internal/settings"
)

// checkZone returns an error when the environment names a time zone that Go does
// not find: Go would silently use UTC (https://pkg.go.dev/time#Location).
func checkZone(environ []string) error {
	const name = "TZ"
	i := slices.IndexFunc(environ, func(variable string) bool { return strings.HasPrefix(variable, name+"=") })
	if i < 0 {
		return nil
	}
	value := strings.TrimPrefix(environ[i], name+"=")
	if loadZone(strings.TrimPrefix(value, ":")) == nil {
		return nil
	}
	return &settings.Error{
		Source:  "environment variable " + name,
		Problem: `"` + value + `" is no time zone that is known here`,
		Allowed: "a name like America/Argentina/Buenos_Aires, UTC, the path of a zone's file, or empty (UTC)",
	}
}

// loadZone finds a zone as Go does for its local time.
func loadZone(name string) error {
	if strings.HasPrefix(name, "/") {
		data, err := os.ReadFile(name)
		if err == nil {
			_, err = time.LoadLocationFromTZData(name, data)
		}
		return err
	}
	if name == "Local" { // LoadLocation accepts it
		return errors.New("no zone")
	}
	_, err := time.LoadLocation(name)
	return err
}

// zoneOf names the zone in which a local time is written.
func zoneOf(t time.Time) string {
	if name := strings.TrimPrefix(os.Getenv("TZ"), ":"); name != "" && !strings.HasPrefix(name, "/") {
		return name
	}
	name, _ := t.Zone()
	return name
}
