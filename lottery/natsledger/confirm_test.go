package natsledger

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestIsConfirmed(t *testing.T) {
	peer := func(active time.Duration, offline bool) *jetstream.PeerInfo {
		return &jetstream.PeerInfo{Active: active, Offline: offline}
	}
	const within = time.Second
	recent, old := within/2, 2*within
	for _, c := range []struct {
		what     string
		replicas int
		peers    []*jetstream.PeerInfo
		want     bool
	}{
		{"one server", 1, nil, true},
		{"both", 3, []*jetstream.PeerInfo{peer(recent, false), peer(recent, false)}, true},
		{"one of two", 3, []*jetstream.PeerInfo{peer(old, false), peer(recent, false)}, true},
		{"none of two", 3, []*jetstream.PeerInfo{peer(old, false), peer(within, false)}, false},
		{"one that is offline", 3, []*jetstream.PeerInfo{peer(old, false), peer(recent, true)}, false},
		{"never heard from", 3, []*jetstream.PeerInfo{peer(0, false), peer(0, false)}, false},
		{"nobody is known", 3, nil, false},
		{"two of four", 5, []*jetstream.PeerInfo{peer(recent, false), peer(recent, false), peer(old, false), peer(old, false)}, true},
		{"one of four", 5, []*jetstream.PeerInfo{peer(recent, false), peer(old, false), peer(old, false), peer(old, false)}, false},
	} {
		info := &jetstream.StreamInfo{Config: jetstream.StreamConfig{Replicas: c.replicas}, Cluster: &jetstream.ClusterInfo{Replicas: c.peers}}
		if got := isConfirmed(info, within); got != c.want {
			t.Errorf("%s: %t, want %t", c.what, got, c.want)
		}
	}
}
