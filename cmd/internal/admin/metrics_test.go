package admin

import (
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/reactor"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt")

// The series of a central after the draw, when it has all of them, are listed in a
// file: alerts and a dashboard are compared with the list. With -update it is
// written.
func TestMetricsList(t *testing.T) {
	s := New(Config{Address: "127.0.0.1:0", Agencies: 1, Log: zerolog.Nop()})
	ledger, err := csvledger.Open(t.TempDir(), 1, csvledger.WithCommits(s.Committed))
	if err != nil {
		t.Fatal(err)
	}
	contest, err := lottery.NewContest(ledger)
	if err != nil {
		t.Fatal(err)
	}
	defer contest.Close()
	if err := contest.DrawWithout(1); err != nil {
		t.Fatal(err)
	}
	<-contest.Drawn()
	s.HealthBy(func() LedgerHealth { // as of one in NATS, with all that it may have
		return LedgerHealth{Limit: 1, Asked: time.Now(), Replicas: []LedgerReplica{{Server: "nats-1"}}}
	})
	s.ShowActa(Acta{Made: time.Now()})
	s.ShowCertificate(time.Now)
	s.Watch(contest, ledger.Durable, reactor.New(reactor.Config{MaxConnections: 1}, contest))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	<-s.listening
	response, err := http.Get("http://" + s.address.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	list, path := listOf(string(text)), filepath.Join("testdata", "metrics.txt")
	if *update {
		if err := os.WriteFile(path, []byte(list), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != list {
		t.Errorf("%s is not what a central has (%v): run this test with -update. It has\n%s", path, err, list)
	}
}

var value = regexp.MustCompile(`"[^"]*"`)

// listOf returns the types and the series of an exposition, each once, without
// their values and those of their labels.
func listOf(exposition string) string {
	var list strings.Builder
	last := ""
	for line := range strings.Lines(exposition) {
		if strings.HasPrefix(line, "# HELP") {
			continue
		}
		if !strings.HasPrefix(line, "#") {
			line = value.ReplaceAllString(line[:strings.LastIndexByte(line, ' ')], `""`) + " 0\n"
		}
		if line != last {
			list.WriteString(line)
		}
		last = line
	}
	return list.String()
}
