package reactor

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// For a listening socket, ss shows the backlog as Send-Q.
func TestBacklogTakesEffect(t *testing.T) {
	if _, err := exec.LookPath("ss"); err != nil {
		t.Skip("there is no ss here to look at the listener with")
	}
	for _, backlog := range []int{1, 7, 300} {
		t.Run(fmt.Sprint(backlog), func(t *testing.T) {
			c := start(t, 1, func(config *Config) { config.Backlog = backlog }, nil)
			output, err := exec.Command("ss", "-lnt").Output()
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(output)) {
				// State, Recv-Q, Send-Q, local address, peer's address
				fields := strings.Fields(line)
				if len(fields) > 3 && fields[3] == c.Address().String() {
					if fields[2] != fmt.Sprint(backlog) {
						t.Errorf("ss shows %q, expected a backlog of %d", line, backlog)
					}
					return
				}
			}
			t.Errorf("ss does not show %v:\n%s", c.Address(), output)
		})
	}
}

// Pitfall 16: how many agencies there are has nothing to do with the backlog
// or the event loops.
func TestPitfall16AgenciesAreNotTheBacklog(t *testing.T) {
	const agencies = 5
	c := start(t, agencies, func(config *Config) { config.Backlog, config.Loops = 1, 1 }, nil)
	ended := make(chan error, agencies)
	for a := 1; a <= agencies; a++ {
		p := c.dial()
		won := rawBetOf(a, fmt.Sprint(a), winning)
		go func() {
			_, _ = p.Write(append(append(betFrame(won), totalFrame(a, 1)...), queryFrame(a)...))
			ended <- p.match(append(append(successFrame(won), okFrame...), winnersFrame(won.Document)...))
		}()
	}
	for range agencies {
		if err := await(t, ended, "an agency gets no answer"); err != nil {
			t.Error(err)
		}
	}
	c.ask(betFrame(rawBetOf(agencies+1, "1", winning)), errorFrame("unknown_agency", noRawBet))
}
