package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	serviceFile = "loteria.service"
	// maxExposure is the limit for systemd-analyze's result, of 10: it counts the
	// network against the service.
	maxExposure = 1.5
)

// readUnit returns the settings of the unit, in the order of the file.
func readUnit(t *testing.T) (text string, settings map[string][]string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("systemd", serviceFile))
	if err != nil {
		t.Fatal(err)
	}
	settings = map[string][]string{}
	for line := range strings.Lines(string(content)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found && !strings.HasPrefix(line, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return string(content), settings
}

// The program that the unit names need not be installed here.
func TestSystemdAcceptsTheUnit(t *testing.T) {
	text, settings := readUnit(t)
	folder := t.TempDir()
	program := filepath.Join(folder, "server")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "="+settings["ExecStart"][0]+"\n", "="+program+"\n")
	if err := os.WriteFile(filepath.Join(folder, serviceFile), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := runTool(t, folder, "systemd-analyze", "verify", "--man=no", "./"+serviceFile)
	if err != nil || strings.Contains(output, serviceFile) { // it warns about what it does not know
		t.Errorf("%v: %s", err, output)
	}
}

func TestExposureIsLow(t *testing.T) {
	output, err := runTool(t, "systemd", "systemd-analyze", "security", "--offline=true", "--no-pager", "./"+serviceFile)
	if strings.Contains(output, "unrecognized option") {
		t.Skip("systemd-analyze is older than version 250, and knows no --offline")
	}
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	found := regexp.MustCompile(`Overall exposure level for ` + serviceFile + `: ([0-9.]+)`).FindStringSubmatch(output)
	if found == nil {
		t.Fatalf("no exposure in: %s", output)
	}
	if exposure, err := strconv.ParseFloat(found[1], 64); err != nil || exposure > maxExposure {
		t.Errorf("the exposure is %s, want at most %v", found[1], maxExposure)
	}
}

func TestSettingsOfTheService(t *testing.T) {
	_, settings := readUnit(t)
	for key, want := range map[string]string{
		"Type":                     "notify",
		"KillSignal":               "SIGTERM",
		"Restart":                  "on-failure",
		"RestartPreventExitStatus": "2",
		"Environment":              "STORAGE_DIR=/var/lib/" + settings["StateDirectory"][0],
		"ExecPaths":                settings["ExecStart"][0],
	} {
		if got := settings[key]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	account, err := os.ReadFile(filepath.Join("systemd", "loteria.sysusers.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(account), "\nu "+settings["User"][0]+" ") {
		t.Errorf("loteria.sysusers.conf does not make the account %s", settings["User"][0])
	}
}

// Each variable that the environment file offers is one of the central's, with the
// default that is written there.
func TestEnvironmentFile(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("systemd", "loteria.env"))
	if err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]bool{"CONTEST": true, "DRAW_DEADLINE": true, "TLS_CERT": true, "TLS_KEY": true, "TLS_CLIENT_CA": true, "TLS_REVOKED": true}
	offered := 0
	for _, match := range regexp.MustCompile(`(?m)^#?([A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(content), -1) {
		offered++
		key, value := match[1], match[2]
		row := regexp.MustCompile("(?m)^\\| `--[a-z-]+` \\| `" + key + "` \\| `" + key + "` \\| (?:`([^`]*)`|–) \\|").FindStringSubmatch(string(settings))
		switch {
		case row == nil:
			t.Errorf("the central has no setting %s", key)
		case row[1] != value && !examples[key]:
			t.Errorf("%s=%s, the default is %q", key, value, row[1])
		}
	}
	if offered == 0 {
		t.Error("it offers nothing")
	}
}
