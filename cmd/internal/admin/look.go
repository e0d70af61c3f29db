package admin

// State returns what there is to see now, with the first agencies. Unlike what the
// page is fed, it is not a second old: whoever has just changed something sees that.
func (s *Server) State() State {
	s.renew()
	return s.current().state
}
