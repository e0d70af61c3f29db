package admin

import "time"

// Acta is the record of a draw, as it is shown.
type Acta struct {
	Made   time.Time `json:"made"`   // when the file was written
	SHA256 string    `json:"sha256"` // of the file, in hexadecimal
	Signed bool      `json:"signed"`
}

// ShowActa has the server show the record of the draw. Without it, a contest that
// is drawn is shown as one whose record is missing.
func (s *Server) ShowActa(a Acta) {
	s.acta.Store(&a)
	s.counters.wake()
}

// ShowCertificate has the server show until when the central's certificate is
// valid. expires must return at once, and is called by many goroutines.
func (s *Server) ShowCertificate(expires func() time.Time) { s.certificate.Store(&expires) }

// certificateExpiry returns until when the central's certificate is valid, or nil
// when it has none.
func (s *Server) certificateExpiry() *time.Time {
	expires := s.certificate.Load()
	if expires == nil {
		return nil
	}
	at := (*expires)()
	return &at
}
