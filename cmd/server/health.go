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
// connections. It says nothing on the connection, so nothing is logged.
func checkHealth(c config) error {
	host := c.bind
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	address := net.JoinHostPort(host, strconv.Itoa(c.port))
	conn, err := net.DialTimeout("tcp", address, healthTimeout)
	if err != nil {
		return fmt.Errorf("the central is not ready: %w", err)
	}
	return conn.Close()
}
