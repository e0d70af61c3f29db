package main

import (
	"bytes"
	"strings"
	"testing"

	"loteria/bench/inprocess"
	"loteria/bench/measure"
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
		{"--bets 5000 --window 4", measure.ExitOK, "5000 bets in 50 batches over 5 connections", ""},
		{"--duration 50ms --warmup 10ms --rate 10000 --batch 10", measure.ExitOK, "bets/s", ""},
		{"--bets 900 --agencies 9 --connections 9", measure.ExitFailure, "", "unknown_agency"},
		{"--address " + central.TLSAddress + " --bets 5000 --window 4 --tls " + certificates.Path, measure.ExitOK, "5000 bets in 50 batches over 5 connections", ""},
		{"--address " + central.TLSAddress + " --bets 900 --agencies 9 --connections 9 --tls " + certificates.Path, measure.ExitFailure, "", "key of agency "},
		{"--address " + central.TLSAddress + " --bets 100", measure.ExitFailure, "", "receive"},
		{"--bets 100 --tls " + certificates.Path, measure.ExitFailure, "", "first record does not look like a TLS handshake"},
		{"--bets 100 --tls " + t.TempDir(), measure.ExitFailure, "", "authority.pem"},
		{"--park 20 --connections 10", measure.ExitOK, "20 queries on 10 connections", ""},
		{"", measure.ExitUsage, "", "expected one of them"},
		{"--park 3 --connections 10", measure.ExitUsage, "", "3 queries on 10 connections"},
		{"--sources 100000 --bets 1", measure.ExitUsage, "", "expected 0 to 64000"},
		{"--bets many", measure.ExitUsage, "", "invalid argument"},
		{"more", measure.ExitUsage, "", "unexpected argument"},
		{"--help", measure.ExitOK, "--connections", ""},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"--address", central.Address}, strings.Fields(test.args)...)
		code := run(t.Context(), args, &stdout, &stderr)
		if code != test.code || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%s: code %d, %q and %q; expected %d, %q and %q",
				test.args, code, stdout.String(), stderr.String(), test.code, test.stdout, test.stderr)
		}
		if (stderr.Len() > 0) != (code != measure.ExitOK) {
			t.Errorf("%s: code %d with %q on stderr", test.args, code, stderr.String())
		}
	}
}
