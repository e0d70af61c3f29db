package deploy

import (
	"bufio"
	"maps"
	"slices"
	"strings"
	"testing"
)

// centralMetrics returns what a central's /metrics names, as exposed reads it.
// It is the one place that says what there is: alerts and dashboard are held
// against it.
func centralMetrics(t *testing.T) map[string]bool {
	t.Helper()
	return exposed(t, metricsOfACentral)
}

// metricsOfACentral is what a central with one agency answers after the draw,
// as far as names and labels go. Of a histogram there is one bucket.
const metricsOfACentral = `
# TYPE loteria_bets_total counter
loteria_bets_total{agency="1"} 1
# TYPE loteria_batches_total counter
loteria_batches_total{agency="1"} 1
# TYPE loteria_received_bytes_total counter
loteria_received_bytes_total{agency="1"} 1
# TYPE loteria_refusals_total counter
loteria_refusals_total{code="bad_document"} 0
# TYPE loteria_commit_bytes histogram
loteria_commit_bytes_bucket{le="+Inf"} 1
loteria_commit_bytes_sum 1
loteria_commit_bytes_count 1
# TYPE loteria_commit_batches histogram
loteria_commit_batches_bucket{le="+Inf"} 1
loteria_commit_batches_sum 1
loteria_commit_batches_count 1
# TYPE loteria_sync_seconds histogram
loteria_sync_seconds_bucket{le="+Inf"} 1
loteria_sync_seconds_sum 1
loteria_sync_seconds_count 1
# TYPE loteria_ledger_bytes gauge
loteria_ledger_bytes 1
loteria_connections 1
loteria_connections_limit 1
loteria_connections_refused_total 0
loteria_parked_queries 0
loteria_waiting_bytes 0
loteria_waiting_bytes_limit 1
loteria_waiting_frames 0
loteria_unread_bytes 0
loteria_window_frames 0
loteria_window_bytes 0
loteria_window_frames_limit 1
loteria_window_bytes_limit 1
loteria_bursts 0
loteria_workers 1
loteria_draw_phase{phase="drawn"} 1
loteria_agencies_expected 1
loteria_agencies_finished 1
loteria_agency_finished{agency="1"} 1
loteria_agency_told{agency="1"} 1
loteria_agency_heard_timestamp_seconds{agency="1"} 1
loteria_winners{agency="1"} 0
loteria_ready 1
go_build_info{checksum="",path="loteria",version="(devel)"} 1
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0.5"} 1
go_gc_duration_seconds_sum 1
go_gc_duration_seconds_count 1
go_gc_gogc_percent 100
go_gc_gomemlimit_bytes 1
go_goroutines 1
go_info{version="go1.26"} 1
go_memstats_alloc_bytes 1
go_memstats_heap_inuse_bytes 1
go_memstats_heap_alloc_bytes 1
go_memstats_next_gc_bytes 1
go_memstats_sys_bytes 1
go_sched_gomaxprocs_threads 1
go_threads 1
process_cpu_seconds_total 1
process_max_fds 1
process_open_fds 1
process_resident_memory_bytes 1
process_virtual_memory_bytes 1
`

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

// checkExpr reports what a PromQL expression names and a central does not have.
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
	known := maps.Clone(labelsFromPrometheus) // of all that is asked for
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
