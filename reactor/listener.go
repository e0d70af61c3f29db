package reactor

import (
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"
)

// isFree returns an error when somebody listens on the address: gnet's socket
// would share the port with another one of its kind.
func isFree(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return listener.Close()
}

// setBacklog sets how many connections may wait at the engine's one listener
// and returns its address. gnet has no option for it and listens with the
// system's maximum; a second listen(2) on the same socket changes it
// (https://man7.org/linux/man-pages/man2/listen.2.html).
func setBacklog(engine gnet.Engine, backlog int) (net.Addr, error) {
	fd, err := engine.Dup()
	if err != nil {
		return nil, fmt.Errorf("get at the listener: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Listen(fd, backlog); err != nil {
		return nil, fmt.Errorf("set the listen backlog: %w", os.NewSyscallError("listen", err))
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	return socket.SockaddrToTCPOrUnixAddr(address), nil
}
