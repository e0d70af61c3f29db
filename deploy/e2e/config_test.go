//go:build e2e

package e2e

import (
	"fmt"
	"testing"
)

// Both files are changed on the host between two starts, whether the containers
// are new or the same, and no image is rebuilt.
func TestConfigurationIsTheHosts(t *testing.T) {
	l := newLab(t)
	l.generate(1, "CLI_MODE=echo")
	images := ""
	for _, start := range []struct {
		how    [][]string
		server serverConfig
		client clientConfig
	}{
		{
			[][]string{{"up", "-d"}},
			serverConfig{port: 12345, backlog: 5, level: "DEBUG"},
			clientConfig{address: "server:12345", amount: 2, period: "0s", level: "INFO", batchMaxAmount: 10},
		},
		{
			[][]string{{"stop"}, {"start"}},
			serverConfig{port: 23456, backlog: 77, level: "debug"},
			clientConfig{address: "server:23456", amount: 3, period: "10ms", level: "DEBUG", batchMaxAmount: 20},
		},
		{
			[][]string{{"down"}, {"up", "-d"}},
			serverConfig{port: 12345, backlog: 6, level: "DEBUG"},
			clientConfig{address: "server:12345", amount: 4, period: "1ms", level: "WARNING", batchMaxAmount: 1},
		},
	} {
		l.configureServer(start.server)
		l.configureClient(start.client)
		for _, args := range start.how {
			l.compose(args...)
		}
		l.finish(1)
		l.checkUndisturbed()
		l.checkLine("server", l.logs("server"), 1, fmt.Sprintf(
			"action: config | result: success | port: %d | listen_backlog: %d | logging_level: DEBUG", start.server.port, start.server.backlog))
		if start.client.level == "WARNING" {
			if all := l.logs("client1"); len(all) > 0 {
				t.Errorf("at %s client1 logs %q", start.client.level, all[0].text)
			}
		} else {
			l.checkLine("client1", l.logs("client1"), 1, fmt.Sprintf(
				"action: config | result: success | client_id: 1 | server_address: %s | loop_amount: %d | loop_period: %s | log_level: %s",
				start.client.address, start.client.amount, start.client.period, start.client.level))
		}
		used := l.docker("inspect", "--format", "{{.Image}}", "server", "client1")
		if images != "" && used != images {
			t.Errorf("the images were %s and are %s", images, used)
		}
		images = used
	}
}
