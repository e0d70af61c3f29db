package admin

// ShowActa has the server show the record of the draw.
func (s *Server) ShowActa(Acta) {}
