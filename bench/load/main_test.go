package main

import (
	"bytes"
	"strings"
	"testing"

	"loteria/bench/inprocess"
	"loteria/internal/certs/certstest"
)

func TestRun(t *testing.T) {
	certificates, err := certstest.New(t.TempDir(), 5)
	if err != nil {
		t.Fatal(err)
	}
	central, err := inprocess.StartTLS(t.TempDir(), 5, certificates.Files())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := central.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, test := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"--bets 5000 --window 4", exitOK, "5000 bets in 50 batches over 5 connections", ""},
		{"--duration 50ms --warmup 10ms --rate 10000 --batch 10", exitOK, "bets/s", ""},
		{"--bets 900 --agencies 9 --connections 9", exitFailure, "", "unknown_agency"},
		{"--address " + central.TLSAddress + " --bets 5000 --window 4 --tls " + certificates.Path, exitOK, "5000 bets in 50 batches over 5 connections", ""},
		{"--address " + central.TLSAddress + " --bets 900 --agencies 9 --connections 9 --tls " + certificates.Path, exitFailure, "", "key of agency "},
		{"--address " + central.TLSAddress + " --bets 100", exitFailure, "", "receive"},
		{"--bets 100 --tls " + certificates.Path, exitFailure, "", "first record does not look like a TLS handshake"},
		{"--bets 100 --tls " + t.TempDir(), exitFailure, "", "authority.pem"},
		{"--park 20 --connections 10", exitOK, "20 queries on 10 connections", ""},
		{"", exitUsage, "", "expected one of them"},
		{"--park 3 --connections 10", exitUsage, "", "3 queries on 10 connections"},
		{"--sources 100000 --bets 1", exitUsage, "", "expected 0 to 64000"},
		{"--bets many", exitUsage, "", "invalid argument"},
		{"more", exitUsage, "", "unexpected argument"},
		{"--help", exitOK, "--connections", ""},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"--address", central.Address}, strings.Fields(test.args)...)
		code := run(t.Context(), args, &stdout, &stderr)
		if code != test.code || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%s: code %d, %q and %q; expected %d, %q and %q",
				test.args, code, stdout.String(), stderr.String(), test.code, test.stdout, test.stderr)
		}
		if (stderr.Len() > 0) != (code != exitOK) {
			t.Errorf("%s: code %d with %q on stderr", test.args, code, stderr.String())
		}
	}
}
