package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
)

// forProbes are the paths answered to everybody, under every name: a probe that
// uses another name must not take the central out of service, and has no token. The
// answers are of no use to anybody else.
var forProbes = []string{"/healthz", "/readyz"}

// Journal writes lines that strangers can cause, and only counts those in excess
// (reactor.Journal, logline.Journal).
type Journal interface {
	AppendRefusal(dst []byte, action string, bets int, code, ip string, err error) []byte
	TryWrite(lines []byte)
}

// challenges ask for the token. A browser knows the first one, and has a person
// type the token as the password (RFC 7617); programs use the other (RFC 6750).
var challenges = []string{`Basic realm="Loteria Nacional", charset="UTF-8"`, `Bearer realm="Loteria Nacional"`}

const howToPresent = "send it as \"Authorization: Bearer TOKEN\", or as the password of any user"

var errWrongToken = errors.New("that is not the token of the admin port")

// authenticated refuses requests without the token, when there is one. Failures
// lock nobody out: the token is too long to be guessed (minToken).
func (s *Server) authenticated(h http.Handler) http.Handler {
	if s.config.Token == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(forProbes, r.URL.Path) || s.isAllowed(r) {
			h.ServeHTTP(w, r)
			return
		}
		w.Header()["Www-Authenticate"] = challenges
		// A browser asks without the token before it knows that there is one.
		if r.Header.Get("Authorization") == "" {
			answer(w, http.StatusUnauthorized, "the admin port needs its token: "+howToPresent)
			return
		}
		s.logRefusal(r)
		answer(w, http.StatusUnauthorized, errWrongToken.Error()+": "+howToPresent)
	})
}

// isAllowed reports whether a request has the current token.
func (s *Server) isAllowed(r *http.Request) bool {
	if s.config.Token == nil {
		return true
	}
	// Comparing digests does not reveal the length either.
	want, got := sha256.Sum256([]byte(s.config.Token())), sha256.Sum256([]byte(presented(r)))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// presented returns the token of a request, or "".
func presented(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (s *Server) logRefusal(r *http.Request) {
	if s.config.Journal == nil {
		return
	}
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	s.config.Journal.TryWrite(s.config.Journal.AppendRefusal(nil, "admin_login", -1, "", ip, errWrongToken))
}
