package process

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreeAddresses returns n addresses of loopback on which nothing listens, for servers
// that do not choose a port themselves or that must find theirs free again. The ports
// are below those that Linux chooses itself (net.ipv4.ip_local_port_range begins at
// 32768), or somebody else could be given one before its server listens.
func FreeAddresses(n int) (addresses []string, err error) {
	for range 100 * n {
		listener, e := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if e != nil {
			err = e
			continue
		}
		defer listener.Close() // not before the last one is found
		if addresses = append(addresses, listener.Addr().String()); len(addresses) == n {
			return addresses, nil
		}
	}
	return nil, err
}
