package admin

// State returns the present state, with the first agencies. Unlike what the page is
// fed, it is never a second old: callers see what they have just changed.
func (s *Server) State() State {
	s.renew()
	return s.current().state
}
