// Package natsserver has the command of a NATS server with the project's
// configuration, deploy/nats/nats.conf.
package natsserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
)

// Settings are what the servers of a cluster differ in. Addresses are host:port.
type Settings struct {
	Name             string
	Client           string // where clients connect
	Monitor          string // health and metrics
	Cluster          string // where the other servers connect
	Routes           []string
	Store            string // folder
	RoutesPassword   string
	OperatorPassword string // of the users operator and system
}

// Command returns the command that runs the program with the configuration at these
// paths. The server is killed when ctx is done.
func Command(ctx context.Context, program, config string, s Settings) *exec.Cmd {
	routes := []string{}
	for _, address := range s.Routes {
		u := url.URL{Scheme: "nats", User: url.UserPassword("routes", s.RoutesPassword), Host: address}
		routes = append(routes, u.String())
	}
	list, _ := json.Marshal(routes) // strings only: no error
	cmd := exec.CommandContext(ctx, program, "-c", config)
	cmd.Env = append(os.Environ(),
		"NATS_NAME="+s.Name,
		fmt.Sprintf("NATS_LISTEN=%q", s.Client),
		fmt.Sprintf("NATS_MONITOR=%q", s.Monitor),
		fmt.Sprintf("NATS_STORE_DIR=%q", s.Store),
		"NATS_MAX_FILE_STORE=64GB",
		fmt.Sprintf("NATS_CLUSTER_LISTEN=%q", s.Cluster),
		"NATS_ROUTES="+string(list),
		fmt.Sprintf("NATS_ROUTES_PASSWORD=%q", s.RoutesPassword),
		fmt.Sprintf("NATS_OPERATOR_PASSWORD=%q", s.OperatorPassword),
	)
	return cmd
}
