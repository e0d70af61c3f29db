package agency

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// maxAddresses bounds a list of addresses: a round over all of them should not
// take for ever.
const maxAddresses = 16

// ParseAddresses returns the addresses in a text like "a:12345" or
// "a:12345,b:12345", without repetitions. The port is a number from 1 to 65535.
func ParseAddresses(text string) (addresses []string, err error) {
	for part := range strings.SplitSeq(text, ",") {
		address := strings.TrimSpace(part)
		host, port, err := net.SplitHostPort(address)
		if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || n < 1 || n > 65535 || host == "" {
			return nil, fmt.Errorf("%q is not host:port", address)
		}
		if !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	if len(addresses) > maxAddresses {
		return nil, fmt.Errorf("%d addresses, at most %d are allowed", len(addresses), maxAddresses)
	}
	return addresses, nil
}

// rotation is the addresses of a central, which are called in turn: an address
// is kept as long as it works.
type rotation struct {
	addresses []string
	next      int
}

func (r *rotation) address() string { return r.addresses[r.next] }

func (r *rotation) advance() { r.next = (r.next + 1) % len(r.addresses) }

// drop removes an address, if it is there and not the last, and reports whether it did.
func (r *rotation) drop(address string) bool {
	i := slices.Index(r.addresses, address)
	if len(r.addresses) == 1 || i < 0 {
		return false
	}
	r.addresses = slices.Delete(r.addresses, i, i+1)
	if r.next > i {
		r.next--
	}
	r.next %= len(r.addresses)
	return true
}

// keepOnly leaves one address.
func (r *rotation) keepOnly(address string) { *r = rotation{addresses: []string{address}} }
