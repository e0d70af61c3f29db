package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// hostChecked refuses requests for another host than this one. A web page whose
// name resolves to this machine (DNS rebinding) has the admin port's origin for a
// browser, and could read all that is here; but the browser sends that name.
func (s *Server) hostChecked(h http.Handler) http.Handler {
	known := append(slices.Clone(s.config.Hosts), "localhost")
	if host, _, err := net.SplitHostPort(s.config.Address); err == nil && host != "" {
		known = append(known, host)
	}
	for i := range known {
		known[i] = canonicalHost(known[i])
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(forProbes, r.URL.Path) && !isOwnHost(r, known) {
			answer(w, http.StatusMisdirectedRequest, fmt.Sprintf(
				"%q is no name of this admin port: use localhost or its IP address, or add the name to --admin-hosts (ADMIN_HOSTS)", r.Host))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isOwnHost reports whether a request is for a known host, for the address that it
// came in on, or for a loopback address. Browsers always name a host.
func isOwnHost(r *http.Request, known []string) bool {
	if r.Host == "" {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = canonicalHost(host)
	if slices.Contains(known, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ip.IsLoopback() || local != nil && canonicalHost(hostOf(local)) == host
}

func hostOf(address net.Addr) string {
	host, _, _ := net.SplitHostPort(address.String())
	return host
}

// canonicalHost returns the canonical form of a host: in lower case, an IP address
// without brackets and zone, a name without the dot of the root.
func canonicalHost(host string) string {
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if ip, err := netip.ParseAddr(bare); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
