package reactor

import "testing"

// A stop may come before the poller has begun to wait.
func TestPollerIsClosedBeforeItRuns(t *testing.T) {
	var p writePoller
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	p.close()
	if err := p.run(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if err := p.await(0, &session{}); err != nil {
		t.Errorf("a session cannot wait: %v", err)
	}
	p.forget(0)
}
