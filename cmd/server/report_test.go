package main

import (
	"errors"
	"strings"
	"testing"

	"loteria/lottery/natsledger"
)

// A check reports what it has not read, and does not call that whole.
func TestCheckOfCopies(t *testing.T) {
	whole, away := natsledger.Copy{Server: "nats-1"}, natsledger.Copy{Server: "nats-2", Unread: errors.New("it is down")}
	damaged := natsledger.Copy{Server: "nats-3", Missing: 7}
	for name, test := range map[string]struct {
		copies []natsledger.Copy
		err    error
		says   []string
	}{
		"whole":   {[]natsledger.Copy{whole}, nil, []string{"nats-1 is whole", "nothing is damaged\n"}},
		"unread":  {[]natsledger.Copy{whole, away}, nil, []string{"nats-2 was not read: it is down", "nothing is damaged in what was read\n"}},
		"damaged": {[]natsledger.Copy{whole, damaged}, errors.New("damaged"), []string{"nats-3 lacks message 7"}},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			found := stream{}.report(natsledger.Report{Stream: "loteria-x", Copies: test.copies})
			if err := found.judge(&said, test.err); !errors.Is(err, test.err) {
				t.Errorf("the error is %v, want %v", err, test.err)
			}
			for _, text := range test.says {
				if !strings.Contains(said.String(), text) {
					t.Errorf("it says\n%s, want %q", said.String(), text)
				}
			}
			if test.err != nil && strings.Contains(said.String(), "nothing is damaged") {
				t.Errorf("it says\n%s", said.String())
			}
		})
	}
}
