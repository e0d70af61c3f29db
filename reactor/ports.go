package reactor

import (
	"errors"
	"fmt"
	"net"
)

// port is where the server listens.
type port struct {
	address  net.Addr
	secured  bool // for TLS
	acceptor *acceptor
}

// openPorts listens on all ports, or on none.
func (s *Server) openPorts() error {
	var err error
	if s.config.Address != "" {
		err = s.openPort(s.config.Address, false, s.take)
	}
	if s.config.TLS != nil && err == nil {
		err = s.openPort(s.config.TLS.Address, true, s.takeSecured)
	}
	if err == nil && len(s.ports) == 0 {
		err = errors.New("there is no port to listen on: neither a plain one nor one for TLS")
	}
	if err != nil {
		s.closePorts()
	}
	return err
}

func (s *Server) openPort(address string, secured bool, take func(net.Conn)) error {
	listener, err := s.listen(address, s.config.Backlog)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	p := &port{address: listener.Addr(), secured: secured}
	again := func() (net.Listener, error) { return s.listen(p.address.String(), s.config.Backlog) }
	p.acceptor = newAcceptor(listener, again, take, s.config.Log)
	s.ports = append(s.ports, p)
	return nil
}

// closePorts stops accepting.
func (s *Server) closePorts() {
	for _, p := range s.ports {
		p.acceptor.close()
	}
}

// logPorts logs what was done to each port.
func (s *Server) logPorts(action string) {
	for _, p := range s.ports {
		event := s.config.Log.Info().Str("action", action).Str("result", "success").Stringer("address", p.address)
		if p.secured {
			event.Bool("tls", true)
		}
		event.Send()
	}
}

func (s *Server) addressOf(secured bool) net.Addr {
	for _, p := range s.ports {
		if p.secured == secured {
			return p.address
		}
	}
	return nil
}
