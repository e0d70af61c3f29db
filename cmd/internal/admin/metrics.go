package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"loteria/lottery"
	"loteria/reactor"
)

const (
	namespace = "loteria"

	maxScrapes    = 4 // at a time
	scrapeTimeout = 10 * time.Second
)

// commits are metrics of the ledger's commits, set by its writer.
type commits struct {
	bytes, appends, syncs, publishes prometheus.Histogram
}

func newCommits() commits {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	}
	return commits{
		bytes: histogram("commit_bytes", "Size of the ledger's commits: each is one write and one fdatasync, or one message of a ledger in NATS.",
			prometheus.ExponentialBuckets(1<<10, 4, 9)), // 1 KiB to 64 MiB
		appends: histogram("commit_batches", "Batches that shared a commit of the ledger.",
			prometheus.ExponentialBuckets(1, 2, 12)), // 1 to 2,048
		syncs: histogram("sync_seconds", "Duration of an fdatasync of the ledger, when that is a folder.",
			prometheus.ExponentialBuckets(50e-6, 2, 16)), // 50 µs to 1.6 s
		publishes: histogram("ledger_publish_seconds", "Time until a message is acknowledged, when the ledger is in NATS.",
			prometheus.ExponentialBuckets(1e-3, 2, 15)), // 1 ms to 16 s: a new leader may take 10 s
	}
}

// add counts a commit; isPublished says that it was a message. A disk differs from
// a network and a quorum, so their times are counted apart.
func (c *commits) add(commit lottery.Commit, isPublished bool) {
	c.bytes.Observe(float64(commit.Bytes))
	c.appends.Observe(float64(commit.Appends))
	if isPublished {
		c.publishes.Observe(commit.Sync.Seconds())
	} else {
		c.syncs.Observe(commit.Sync.Seconds())
	}
}

// newRegistry returns all metrics of the server, and those of Go and of the
// process.
func newRegistry(s *Server) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		s.commits.bytes, s.commits.appends, s.commits.syncs, s.commits.publishes,
		&collector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return registry
}

func metricsHandler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Timeout: scrapeTimeout})
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// Metrics computed at each scrape.
var (
	ready     = describe("ready", "Whether the central is ready: its ledger is recovered and it listens to agencies.")
	startedAt = describe("start_timestamp_seconds", "When the central was started.")
	expected  = describe("agencies_expected", "Agencies that must finish before the draw.")
	finished  = describe("agencies_finished", "Agencies whose betting has ended.")
	phases    = describe("draw_phase", "Where the contest stands: 1 for its phase, 0 for the others.", "phase")
	ledger    = describe("ledger_bytes", "Size of the ledger that is on disk, or of its stream.")

	bets     = describe("bets_total", "Bets of the agency in the ledger, durable, whichever central has stored them; missing while that is not known.", "agency")
	batches  = describe("batches_total", "BETs and BATCHes of the agency that were acknowledged since the start.", "agency")
	received = describe("received_bytes_total", "Payload of the BETs and BATCHes of the agency that were acknowledged since the start.", "agency")
	ended    = describe("agency_finished", "Whether the agency's betting has ended.", "agency")
	told     = describe("agency_told", "Whether this central has told the agency its winners since the start.", "agency")
	heard    = describe("agency_heard_timestamp_seconds", "When the agency last asked for something, was seen to bet elsewhere, or the contest was opened.", "agency")
	winners  = describe("winners", "Winning bets of the agency, once the draw is done.", "agency")
	actaMade = describe("acta_made_timestamp_seconds", "When the record of the draw was made; missing as long as there is none.")

	refusals = describe("refusals_total", "Requests that were refused since the start, by the protocol's code; retry for the answer RETRY.", "code")

	connections    = describe("connections", "Open connections.")
	maxConnections = describe("connections_limit", "Open connections that there may be.")
	turnedAway     = describe("connections_refused_total", "Connections closed at once, for want of room, since the start.")
	cut            = describe("connections_cut_total", "Connections ended since the start for what they left unread or sent behind a query.")
	secured        = describe("tls_connections", "Open connections over TLS whose handshake is done; they are among loteria_connections.")
	handshakes     = describe("tls_handshakes", "TLS handshakes in progress.")
	maxHandshakes  = describe("tls_handshakes_limit", "TLS handshakes that may be in progress; 0 without a port for TLS.")
	failedShakes   = describe("tls_handshakes_failed_total", "TLS handshakes that have failed since the start.")
	expiry         = describe("certificate_expiry_timestamp_seconds", "Until when the central's certificate is valid; missing when it has none.")
	parked         = describe("parked_queries", "Queries for winners that wait for the draw.")
	waitingFrames  = describe("waiting_frames", "Frames that wait for their answer.")
	waitingBytes   = describe("waiting_bytes", "What the frames that wait for their answer cost in memory.")
	maxWaiting     = describe("waiting_bytes_limit", "What may wait, in memory; beyond it the answer is RETRY.")
	unread         = describe("unread_bytes", "Answers that agencies have not read yet.")
	jobs           = describe("jobs", "What came with one read each, and is not durable or answered yet.")
	loops          = describe("event_loops", "Event loops.")
	windowFrames   = describe("window_frames", "Frames in the fullest window of a connection, when last looked at.")
	maxFrames      = describe("window_frames_limit", "Frames of one connection that may wait for their answer.")
	windowBytes    = describe("window_bytes", "Payload in the fullest window of a connection, when last looked at.")
	maxBytes       = describe("window_bytes_limit", "Payload of one connection that may wait for its answer.")
)

// collector computes everything anew at each scrape (prometheus.Collector).
type collector struct{ server *Server }

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		ready, startedAt, expected, finished, phases, ledger,
		bets, batches, received, ended, told, heard, winners, actaMade, refusals,
		connections, maxConnections, turnedAway, cut, secured, handshakes, maxHandshakes, failedShakes, expiry, parked, waitingFrames, waitingBytes, maxWaiting, unread, jobs, loops,
		windowFrames, maxFrames, windowBytes, maxBytes,
	} {
		out <- desc
	}
	for _, desc := range ledgerDescriptors {
		out <- desc
	}
}

// sample sends one value.
type sample func(desc *prometheus.Desc, value float64, labels ...string)

func gaugeSamples(out chan<- prometheus.Metric) sample { return sampler(out, prometheus.GaugeValue) }
func counterSamples(out chan<- prometheus.Metric) sample {
	return sampler(out, prometheus.CounterValue)
}

func sampler(out chan<- prometheus.Metric, kind prometheus.ValueType) sample {
	return func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.server
	gauge, counter := gaugeSamples(out), counterSamples(out)
	watched, now := s.inspect()
	gauge(ready, oneIf(now.ready))
	gauge(expected, float64(s.config.Agencies))
	for code, n := range s.counters.refusals {
		counter(refusals, float64(n.Load()), string(code))
	}
	gauge(startedAt, seconds(s.started))
	if expires := s.certificateExpiry(); expires != nil {
		gauge(expiry, seconds(*expires))
	}
	if acta := s.acta.Load(); acta != nil {
		gauge(actaMade, seconds(acta.Made))
	}
	health := s.ledgerHealth()
	if health != nil {
		collectLedger(gauge, health)
	}
	if watched == nil {
		return // counters begin with what the ledger has, or rates would jump
	}
	s.refresh()
	for i := range s.counters.agencies {
		t, agency := &s.counters.agencies[i], strconv.Itoa(i+1)
		if t.known.Load() {
			counter(bets, float64(t.bets.Load()), agency)
		}
		counter(batches, float64(t.batches.Load()), agency)
		counter(received, float64(t.bytes.Load()), agency)
		gauge(told, oneIf(t.told.Load()), agency)
	}
	if health == nil {
		gauge(ledger, float64(watched.ledgerBytes()))
	}
	collectContest(gauge, watched.contest)
	collectReactor(gauge, counter, watched.reactor.Stats())
}

func collectContest(gauge sample, contest *lottery.Contest) {
	now := contest.Phase()
	for _, phase := range []lottery.Phase{lottery.Betting, lottery.Drawing, lottery.Drawn} {
		gauge(phases, oneIf(phase == now), string(phase))
	}
	done := 0
	for _, standing := range contest.Standings() {
		agency := strconv.Itoa(standing.Agency)
		hasEnded := standing.Ended != lottery.Open
		if hasEnded {
			done++
		}
		gauge(ended, oneIf(hasEnded), agency)
		gauge(heard, seconds(standing.LastSeen), agency)
		if now == lottery.Drawn {
			gauge(winners, float64(standing.Winners), agency)
		}
	}
	gauge(finished, float64(done))
}

func collectReactor(gauge, counter sample, stats reactor.Stats) {
	counter(turnedAway, float64(stats.RefusedConnections))
	counter(cut, float64(stats.CutConnections))
	counter(failedShakes, float64(stats.FailedHandshakes))
	for desc, value := range map[*prometheus.Desc]int{
		connections: stats.Connections, maxConnections: stats.MaxConnections,
		secured: stats.TLSConnections, handshakes: stats.Handshakes, maxHandshakes: stats.MaxHandshakes,
		parked:        stats.ParkedQueries,
		waitingFrames: stats.WaitingFrames, waitingBytes: stats.WaitingBytes, maxWaiting: stats.MaxWaiting,
		unread: stats.UnreadBytes,
		jobs:   stats.Jobs, loops: stats.Loops,
		windowFrames: stats.WindowFrames, maxFrames: stats.MaxWindowFrames,
		windowBytes: stats.WindowBytes, maxBytes: stats.MaxWindowBytes,
	} {
		gauge(desc, float64(value))
	}
}

// seconds returns a time as Prometheus has it, since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func oneIf(so bool) float64 {
	if so {
		return 1
	}
	return 0
}
