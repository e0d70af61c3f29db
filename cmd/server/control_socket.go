package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the longest path of a Unix socket, in bytes
// (https://man7.org/linux/man-pages/man7/unix.7.html).
const maxSocketPath = 107

// controlName is the name of the socket in the contest's folder. A folder has one
// central, but several with a ledger in NATS may keep their actas in the same one.
func (c config) controlName() string {
	if name := c.sharedName(); name != "" {
		return "control-" + name + ".sock"
	}
	return "control.sock"
}

var (
	// errControlled says that another central listens on the socket.
	errControlled = errors.New("another central has it: give each a --storage-dir of its own or, with a ledger in NATS, a --central")
	// errMaking says that the folder stays locked by another process.
	errMaking = errors.New("the folder is locked by another process")
)

const (
	lockTries = 100                   // to lock the folder
	lockPause = 10 * time.Millisecond // between them
)

// controlSocket listens in a contest's folder.
type controlSocket struct {
	*net.UnixListener
	path  string
	info  fs.FileInfo   // of the socket
	slots chan struct{} // a semaphore of maxControls connections
}

// listenControl makes the socket of that name in a folder, and the folder if it is
// missing. Only its owner may connect, from the first moment on.
//
// A socket on which nobody listens is a dead central's, and is removed. The
// ledger's lock cannot tell that: it is taken later, and a ledger in NATS has none.
// So the folder is locked meanwhile: no socket is seen between another central's
// bind and listen.
func listenControl(path, name string) (*controlSocket, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make the contest's folder: %w", err)
	}
	folder, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the contest's folder: %w", err)
	}
	defer folder.Close() // which unlocks it
	if err := lockFolder(folder); err != nil {
		return nil, err
	}
	s := &controlSocket{path: filepath.Join(path, name), slots: make(chan struct{}, maxControls)}
	address, err := socketAddress(folder, s.path)
	if err != nil {
		return nil, err
	}
	if err := removeStale(s.path, address); err != nil {
		return nil, err
	}
	// The mode is set before the socket has a name, and stays: at no moment may others
	// connect, and no umask changes under the feet of other goroutines.
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, failed)
	}}
	listener, err := private.Listen(context.Background(), "unix", address)
	if err != nil {
		return nil, bare(err)
	}
	s.UnixListener = listener.(*net.UnixListener)
	s.SetUnlinkOnClose(false) // the name may be another central's by then
	if s.info, err = os.Lstat(s.path); err != nil {
		s.UnixListener.Close()
		return nil, err
	}
	return s, nil
}

// lockFolder keeps other centrals from making sockets in a folder until it is closed.
func lockFolder(folder *os.File) error {
	for range lockTries {
		err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("lock the folder: %w", err)
		}
		time.Sleep(lockPause)
	}
	return errMaking
}

// removeStale removes the socket of a killed central.
func removeStale(path, address string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is no socket: remove it, if nobody needs it", path)
	}
	// This waits for nothing: a full backlog is an error at once, as the socket does not
	// block. With a timeout, a busy machine could take a dead central's for a live one.
	conn, err := net.Dial("unix", address)
	switch {
	case err == nil:
		conn.Close()
		return errControlled
	case !errors.Is(err, unix.ECONNREFUSED):
		return errControlled // its backlog is full, or it is not ours
	}
	return os.Remove(path)
}

// socketAddress returns a path to a socket in an open folder: its own, unless that
// is too long.
func socketAddress(folder *os.File, path string) (string, error) {
	if len(path) <= maxSocketPath {
		return path, nil
	}
	short := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path))
	if _, err := os.Stat(filepath.Dir(short)); err != nil {
		return "", fmt.Errorf("%s has %d bytes, and without /proc a socket's path has %d at most: %w", path, len(path), maxSocketPath, err)
	}
	return short, nil
}

// dialControl connects to the socket of that name in a folder.
func dialControl(ctx context.Context, path, name string) (*net.UnixConn, error) {
	folder, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	address, err := socketAddress(folder, filepath.Join(path, name))
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// bare returns an error of package net without the address, which may be one in
// /proc.
func bare(err error) error {
	if failed := (*net.OpError)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// close removes the socket, if it is still this one: while it is open, no other
// file has its inode.
func (s *controlSocket) close() {
	if info, err := os.Lstat(s.path); err == nil && os.SameFile(info, s.info) {
		_ = os.Remove(s.path) // else the next central does
	}
	s.UnixListener.Close()
}

// Accept returns connections that know their peer, maxControls at a time.
func (s *controlSocket) Accept() (net.Conn, error) {
	s.slots <- struct{}{}
	conn, err := s.AcceptUnix()
	if err != nil {
		<-s.slots
		return nil, err
	}
	return peerConn{conn, peerOf(conn), sync.OnceFunc(func() { <-s.slots })}, nil
}

// peer is the process at the other end of a connection, as the kernel knows it.
type peer struct {
	user, process int // -1 when that is not known
}

// peerOf returns who has connected, or, to the dialer, who listens.
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
	peer    peer
	release func() // makes room for another connection
}

func (c peerConn) RemoteAddr() net.Addr { return c.peer }

// Close implements net.Conn.
func (c peerConn) Close() error {
	defer c.release()
	return c.UnixConn.Close()
}
