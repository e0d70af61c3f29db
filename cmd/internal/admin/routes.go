package admin

import (
	"embed"
	"io/fs"
	"net/http"
	"net/http/pprof"
)

//go:embed page
var page embed.FS

// handler serves all requests.
func (s *Server) handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", http.FileServerFS(files))
	for _, name := range []string{"page.css", "page.js", "texts.js", "icon.svg"} {
		mux.Handle("GET /"+name, http.FileServerFS(files))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", metricsHandler(s.registry))
	mux.HandleFunc("GET /api/state", s.apiState)
	mux.HandleFunc("GET /api/stream", s.stream)
	if s.config.Profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return guarded(s.hostChecked(s.authenticated(mux)))
}

// guarded tells browsers not to keep, frame, or fetch from elsewhere anything here.
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin") // a browser that knows the token would send it along
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text + "\n")) // the client may have gone
}

// readyz gives the reason, which may name files, only to clients with the token.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	_, now := s.inspect()
	code, text := http.StatusOK, string(now.status)
	if !now.ready {
		code = http.StatusServiceUnavailable
	}
	if now.reason != nil && s.isAllowed(r) {
		text += ": " + now.reason.Error()
	}
	answer(w, code, text)
}
