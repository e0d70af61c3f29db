package admin

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LedgerKind says where a contest is kept.
type LedgerKind string

// The kinds of ledgers.
const (
	Folder LedgerKind = "folder" // on this machine, by this central alone
	NATS   LedgerKind = "nats"   // in a stream that several servers have, and several centrals may use
)

// Ledger is the ledger in a State.
type Ledger struct {
	Kind LedgerKind `json:"kind"`
	*LedgerHealth
}

// LedgerHealth is the health of a ledger in NATS, as far as it is known. It must
// hold no credentials: every visitor sees it.
type LedgerHealth struct {
	Server   string          `json:"server"`   // that the central is connected to; empty when to none
	Leader   string          `json:"leader"`   // of the stream; empty when there is none, or it is not known
	Replicas []LedgerReplica `json:"replicas"` // of the stream, the leader's among them
	Messages uint64          `json:"messages"` // in the stream
	Bytes    uint64          `json:"bytes"`    // likewise
	Limit    int64           `json:"limit"`    // of bytes; 0 or less is none
	InFlight int             `json:"in_flight"`
	Asked    time.Time       `json:"asked,omitzero"`    // when the leader last reported this
	Problem  string          `json:"problem,omitempty"` // what is wrong, such as why nothing is stored
}

// LedgerReplica is one server's copy of a stream.
type LedgerReplica struct {
	Server  string `json:"server"`
	Current bool   `json:"current"` // it has all that the leader has
	Offline bool   `json:"offline"` // the leader does not hear from it
	Lag     uint64 `json:"lag"`     // operations that it is behind
	Damaged bool   `json:"damaged"` // it lacks messages that it should have
}

// HealthBy has the server show a ledger in NATS and its health. It is called before
// the ledger is opened. health must return at once, and is called by many
// goroutines; what it returns must not change afterwards.
func (s *Server) HealthBy(health func() LedgerHealth) { s.health.Store(&health) }

// ledgerHealth returns the health of the ledger in NATS, or nil for a folder.
func (s *Server) ledgerHealth() *LedgerHealth {
	ask := s.health.Load()
	if ask == nil {
		return nil
	}
	health := (*ask)()
	health.Replicas = append([]LedgerReplica{}, health.Replicas...) // in JSON never null
	for i := range health.Replicas {
		name := &health.Replicas[i].Server
		*name = strings.ToValidUTF8(*name, "?") // Prometheus takes no others
	}
	slices.SortStableFunc(health.Replicas, func(a, b LedgerReplica) int {
		return cmp.Compare(a.Server, b.Server) // NATS names them in any order
	})
	return &health
}

// ledger returns the ledger as a state has it.
func (s *Server) ledger() Ledger {
	health := s.ledgerHealth()
	if health == nil {
		return Ledger{Kind: Folder}
	}
	return Ledger{NATS, health}
}

// Metrics of a ledger in NATS only.
var (
	ledgerConnected   = describe("ledger_connected", "Whether the central is connected to a server of its ledger.")
	ledgerLeader      = describe("ledger_leader_known", "Whether the ledger's stream has a leader, as far as is known.")
	ledgerReplicas    = describe("ledger_replicas", "Copies of the ledger's stream that there should be.")
	ledgerAllCurrent  = describe("ledger_replicas_current", "Copies of the ledger's stream that have all that the leader has.")
	ledgerCurrent     = describe("ledger_replica_current", "Whether the server's copy has all that the leader has.", "server")
	ledgerLag         = describe("ledger_replica_lag", "Operations that the server's copy is behind the leader.", "server")
	ledgerOffline     = describe("ledger_replica_offline", "Whether the leader does not hear from the server.", "server")
	ledgerDamaged     = describe("ledger_replica_damaged", "Whether the server lacks messages that it should have.", "server")
	ledgerMessages    = describe("ledger_messages", "Messages in the ledger's stream.")
	ledgerLimit       = describe("ledger_bytes_limit", "Size that the ledger's stream may have; missing when it has no limit.")
	ledgerInFlight    = describe("ledger_in_flight_bytes", "Messages that this central has published and that are not acknowledged.")
	ledgerProblem     = describe("ledger_problem", "Whether something is wrong with the ledger; /api/state says what.")
	ledgerAskedAt     = describe("ledger_asked_timestamp_seconds", "When the stream's leader last said how the ledger is; missing before.")
	ledgerDescriptors = []*prometheus.Desc{
		ledgerConnected, ledgerLeader, ledgerReplicas, ledgerAllCurrent, ledgerCurrent, ledgerLag, ledgerOffline, ledgerDamaged,
		ledgerMessages, ledgerLimit, ledgerInFlight, ledgerProblem, ledgerAskedAt,
	}
)

func collectLedger(gauge sample, health *LedgerHealth) {
	gauge(ledgerConnected, oneIf(health.Server != ""))
	gauge(ledgerLeader, oneIf(health.Leader != ""))
	gauge(ledger, float64(health.Bytes))
	gauge(ledgerMessages, float64(health.Messages))
	if health.Limit > 0 {
		gauge(ledgerLimit, float64(health.Limit))
	}
	gauge(ledgerInFlight, float64(health.InFlight))
	gauge(ledgerProblem, oneIf(health.Problem != ""))
	if !health.Asked.IsZero() {
		gauge(ledgerAskedAt, seconds(health.Asked))
	}
	current := 0
	for i, replica := range health.Replicas {
		if replica.Current {
			current++
		}
		if i > 0 && replica.Server == health.Replicas[i-1].Server {
			continue // a duplicate series would fail the whole scrape
		}
		gauge(ledgerCurrent, oneIf(replica.Current), replica.Server)
		gauge(ledgerLag, float64(replica.Lag), replica.Server)
		gauge(ledgerOffline, oneIf(replica.Offline), replica.Server)
		gauge(ledgerDamaged, oneIf(replica.Damaged), replica.Server)
	}
	gauge(ledgerReplicas, float64(len(health.Replicas)))
	gauge(ledgerAllCurrent, float64(current))
}
