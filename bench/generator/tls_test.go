package generator_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"loteria/bench/generator"
	"loteria/bench/inprocess"
	"loteria/internal/certs/certstest"
)

// All bets sent over TLS are stored, however many are gathered into one write.
func TestRunOverTLS(t *testing.T) {
	certificates, target, c, folder := startTLS(t)
	for _, window := range []int{1, 7, 200} {
		config := generator.Config{Connections: 5, Agencies: 5, Window: window, BatchSize: 100, Bets: 50_000}
		report, err := generator.Run(t.Context(), target, config)
		if err != nil {
			t.Fatalf("window %d: %v", window, err)
		}
		if report.Bets != config.Bets {
			t.Errorf("window %d: %d bets were acknowledged, expected %d", window, report.Bets, config.Bets)
		}
	}
	held, err := generator.Hold(t.Context(), target, 5)
	if err != nil {
		t.Fatal(err)
	}
	held.Close()
	// An agency cannot use the certificate of another one.
	target.TLS, err = generator.Credentials(certificates.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(certificates.File("agency-2.pem"), certificates.File("agency-1.pem")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(certificates.File("agency-2-key.pem"), certificates.File("agency-1-key.pem")); err != nil {
		t.Fatal(err)
	}
	_, err = generator.Run(t.Context(), target, generator.Config{Connections: 1, Agencies: 1, Window: 1, BatchSize: 1, Bets: 1})
	if err == nil || !strings.Contains(err.Error(), "wrong_agency") {
		t.Errorf("with the certificate of agency 2 agency 1 gets %v, expected wrong_agency", err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if stored := bytes.Count(rowsIn(t, folder), []byte("\n")); stored != 150_000 {
		t.Errorf("%d bets are stored, expected 150000", stored)
	}
}

func TestParkOverTLS(t *testing.T) {
	_, target, c, _ := startTLS(t)
	report := parkAndDraw(t, target, generator.ParkConfig{Queries: 40, Connections: 20, Agencies: 5})
	if report.Queries != 40 {
		t.Errorf("%d queries were answered, expected 40", report.Queries)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

func startTLS(t *testing.T) (certificates *certstest.Folder, target *generator.Central, c *inprocess.Central, folder string) {
	t.Helper()
	certificates, err := certstest.New(t.TempDir(), 5)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	if c, err = inprocess.StartTLS(folder, 5, certificates.Files()); err != nil {
		t.Fatal(err)
	}
	credentials, err := generator.Credentials(certificates.Path)
	if err != nil {
		t.Fatal(err)
	}
	return certificates, &generator.Central{Address: c.TLSAddress, TLS: credentials}, c, folder
}
