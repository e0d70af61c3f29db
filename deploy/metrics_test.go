package deploy

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// centralMetrics returns what a central's /metrics names after the draw, when it is
// complete, as exposed reads it. Alerts and dashboard are checked against it. A
// test of the admin port checks the file against a central.
func centralMetrics(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "cmd", "internal", "admin", "testdata", "metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return exposed(t, string(text))
}

// exposed reads Prometheus' text format. The set has "name" for each series,
// "name{label}" for each label of it, and for a histogram or summary also those
// of its base: loteria_sync_seconds, loteria_sync_seconds{le}.
func exposed(t *testing.T, text string) map[string]bool {
	t.Helper()
	set := map[string]bool{}
	base := map[string]string{} // of each series of a histogram or summary
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if words := strings.Fields(line); len(words) == 4 && words[1] == "TYPE" {
			switch words[3] {
			case "histogram", "summary":
				for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
					base[words[2]+suffix] = words[2]
				}
			}
		}
		if line == "" || line[0] == '#' {
			continue
		}
		series, err := parseExpr(line[:strings.LastIndexByte(line, ' ')])
		if err != nil || len(series.selectors) != 1 {
			t.Fatalf("no line of a series: %q: %v", line, err)
		}
		name := series.selectors[0].metric
		names := []string{name}
		if base[name] != "" {
			names = append(names, base[name])
		}
		for _, name := range names {
			set[name] = true
			for _, label := range series.selectors[0].labels {
				set[name+"{"+label+"}"] = true
			}
		}
	}
	return set
}

func TestExposed(t *testing.T) {
	got := exposed(t, `# HELP a_total Of x, {y="z"}.
# TYPE a_total counter
a_total{agency="1",code="} 2"} 3
# TYPE b gauge
b 1e+06
# TYPE c_seconds histogram
c_seconds_bucket{le="0.1"} 1
c_seconds_bucket{le="+Inf"} 1
c_seconds_sum 0.05
c_seconds_count 1
`)
	want := []string{
		"a_total", "a_total{agency}", "a_total{code}", "b",
		"c_seconds", "c_seconds_bucket", "c_seconds_bucket{le}", "c_seconds_count", "c_seconds_sum", "c_seconds{le}",
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("got  %q\nwant %q", names, want)
	}
}

// fromPrometheus are series and labels that Prometheus adds itself. Any label
// may be on an alert.
var (
	fromPrometheus       = map[string]bool{"up": true, "ALERTS": true}
	labelsFromPrometheus = map[string]bool{"job": true, "instance": true}
)

// checkExpr reports names in a PromQL expression that a central does not have.
func checkExpr(t *testing.T, where, text string, metrics map[string]bool) expr {
	t.Helper()
	e, err := parseExpr(text)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return e
	}
	if len(e.selectors) == 0 {
		t.Errorf("%s: it asks for no metric: %s", where, text)
	}
	known := maps.Clone(labelsFromPrometheus) // of all selectors
	for _, s := range e.selectors {
		if !metrics[s.metric] && !fromPrometheus[s.metric] {
			t.Errorf("%s: a central has no %s", where, s.metric)
		}
		has := maps.Clone(labelsFromPrometheus)
		for name := range metrics {
			if label, found := strings.CutPrefix(name, s.metric+"{"); found {
				has[strings.TrimSuffix(label, "}")] = true
			}
		}
		maps.Copy(known, has)
		for _, label := range s.labels {
			if !has[label] && s.metric != "ALERTS" {
				t.Errorf("%s: %s has no label %s", where, s.metric, label)
			}
		}
	}
	for _, label := range e.grouping {
		if !known[label] && !e.asks("ALERTS") {
			t.Errorf("%s: nothing there has a label %s", where, label)
		}
	}
	return e
}
