package reactor

import (
	"strings"
	"testing"
)

func TestOrigin(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.7":               "192.0.2.7",
		"::ffff:192.0.2.7":        "192.0.2.7",
		"2001:db8:1:2::1":         "2001:db8:1:2::/64",
		"2001:db8:1:2:ff:ff:ff:1": "2001:db8:1:2::/64",
		"2001:db8:1:3::1":         "2001:db8:1:3::/64",
		"::1":                     "::/64",
		"fe80::1%eth0":            "fe80::/64",
		"unknown":                 "unknown",
	} {
		if got := origin(peer); got != want {
			t.Errorf("%s counts as %s, expected %s", peer, got, want)
		}
	}
}

// A network of addresses has the connections of one.
func TestDoorsCountNetworks(t *testing.T) {
	d := connectionLimits{addresses: map[string]int{}}
	config := &Config{MaxConnections: 100, MaxPerAddress: 2}
	for _, peer := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"} {
		if refused := d.enter(peer, config); refused != nil {
			t.Errorf("%s is refused: %v", peer, refused)
		}
	}
	for peer, says := range map[string]string{"2001:db8::3": "2001:db8::/64", "::ffff:192.0.2.1": "192.0.2.1"} {
		if refused := d.enter(peer, config); refused == nil || !strings.Contains(refused.Error(), says) {
			t.Errorf("%s is told %v, expected that there are enough from %s", peer, refused, says)
		}
	}
	d.leave("2001:db8::1")
	if refused := d.enter("2001:db8::ffff", config); refused != nil {
		t.Errorf("where one has left, another is refused: %v", refused)
	}
	for _, peer := range []string{"2001:db8::2", "2001:db8::2", "2001:db8:0:1::9", "192.0.2.1", "192.0.2.1", "192.0.2.2"} {
		d.leave(peer)
	}
	if d.open != 0 || len(d.addresses) != 0 {
		t.Errorf("%d connections from %v are left", d.open, d.addresses)
	}
}
