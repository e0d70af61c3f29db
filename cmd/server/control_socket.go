package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// controlName is the socket of server ctl, in the contest's folder.
	controlName = "control.sock"
	// maxSocketPath is the longest path that a socket can be reached by, in bytes
	// (https://man7.org/linux/man-pages/man7/unix.7.html).
	maxSocketPath = 107
)

// errControlled is why a central does not make a socket: the living one's stays.
var errControlled = errors.New("another central has it; with a ledger in NATS each central of a machine needs a --storage-dir of its own")

// controlSocket listens in a contest's folder. The folder itself is locked as long
// as it does, so that a socket that is found there is a dead central's. The
// ledger's lock cannot tell that: it comes when the ledger is opened, and a
// ledger in NATS has none.
type controlSocket struct {
	*net.UnixListener
	folder *os.File
	path   string
	info   fs.FileInfo // of the socket
}

// listenControl makes the socket in a folder, and the folder if there is none. Only
// its owner may connect, from the first moment on.
func listenControl(path string) (*controlSocket, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make the contest's folder: %w", err)
	}
	folder, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the contest's folder: %w", err)
	}
	s := &controlSocket{folder: folder, path: filepath.Join(path, controlName)}
	if err := s.listen(); err != nil {
		folder.Close()
		return nil, err
	}
	return s, nil
}

func (s *controlSocket) listen() error {
	switch err := unix.Flock(int(s.folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errControlled
	case err != nil:
		return fmt.Errorf("lock the folder: %w", err)
	}
	if err := removeStale(s.path); err != nil {
		return err
	}
	address, err := socketAddress(s.folder, s.path)
	if err != nil {
		return err
	}
	// What the socket is allowed before it has a name is what it is allowed under
	// it: there is no moment in which others may connect, and no umask to change
	// under the feet of other goroutines.
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	listener, err := private.Listen(context.Background(), "unix", address)
	if err != nil {
		return bare(err)
	}
	s.UnixListener = listener.(*net.UnixListener)
	s.SetUnlinkOnClose(false) // the name may be another central's by then
	if s.info, err = os.Lstat(s.path); err != nil {
		s.UnixListener.Close()
	}
	return err
}

// removeStale removes what a central that was killed has left.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is no socket: remove it, if nobody needs it", path)
	}
	return os.Remove(path)
}

// socketAddress returns by which path a socket in an open folder is reached: its
// own, unless that is too long.
func socketAddress(folder *os.File, path string) (string, error) {
	if len(path) <= maxSocketPath {
		return path, nil
	}
	short := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), controlName)
	if _, err := os.Stat(filepath.Dir(short)); err != nil {
		return "", fmt.Errorf("%s has %d bytes, and without /proc a socket's path has %d at most: %w", path, len(path), maxSocketPath, err)
	}
	return short, nil
}

// dialControl connects to the socket in a folder.
func dialControl(ctx context.Context, path string) (*net.UnixConn, error) {
	folder, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	address, err := socketAddress(folder, filepath.Join(path, controlName))
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// bare returns an error of package net without the address, which may be a way
// round.
func bare(err error) error {
	if failed := (*net.OpError)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// close takes the socket away, and gives the folder up.
func (s *controlSocket) close() {
	s.UnixListener.Close()
	if info, err := os.Lstat(s.path); err == nil && os.SameFile(info, s.info) {
		_ = os.Remove(s.path) // else the next central does
	}
	s.folder.Close()
}

// Accept returns connections that know who is at the other end.
func (s *controlSocket) Accept() (net.Conn, error) {
	conn, err := s.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return peerConn{conn, peerOf(conn)}, nil
}

// peer is the process at the other end of a connection, as the kernel knows it.
type peer struct {
	user, process int // -1 when that is not known
}

// peerOf returns who has connected, or of the side that has connected, who listens.
func peerOf(conn *net.UnixConn) peer {
	unknown := peer{-1, -1}
	raw, err := conn.SyscallConn()
	if err != nil {
		return unknown
	}
	found := unknown
	_ = raw.Control(func(fd uintptr) {
		if creds, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			found = peer{int(creds.Uid), int(creds.Pid)}
		}
	})
	return found
}

// mayControl reports whether the peer is the central's own user, or root.
func (p peer) mayControl() bool { return p.user == 0 || p.user == os.Geteuid() }

// Network and String make a peer the address of its connection.
func (p peer) Network() string { return "unix" }
func (p peer) String() string  { return fmt.Sprintf("user %d, process %d", p.user, p.process) }

// peerConn is a connection whose remote address is a peer.
type peerConn struct {
	*net.UnixConn
	peer peer
}

func (c peerConn) RemoteAddr() net.Addr { return c.peer }
