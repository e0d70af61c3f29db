package main

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// healthTimeout bounds a check of health.
const healthTimeout = 2 * time.Second

// checkHealth returns nil when a central with this configuration accepts
// connections, on the port without TLS if there is one. It says nothing on the
// connection, so nothing is logged.
func checkHealth(c config) error {
	host, port := c.bind, c.port
	if port == noPort {
		host, port = c.tlsBind(), c.tls.port
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	conn, err := net.DialTimeout("tcp", address, healthTimeout)
	if err != nil {
		return fmt.Errorf("the central is not ready: %w", err)
	}
	return conn.Close()
}
