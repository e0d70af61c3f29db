package reactor

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// writePoller tells sessions when their sockets take bytes again, which gnet does
// not. It waits only for sockets that were full.
type writePoller struct {
	mu      sync.Mutex
	epoll   *os.File         // nil when it is closed
	waiting map[int]*session // by descriptor
}

func (r *writePoller) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(fd, true) // so that Go waits for it without a thread
	r.epoll, r.waiting = os.NewFile(uintptr(fd), "epoll"), make(map[int]*session)
	return nil
}

// close ends run. No session is told anything after it.
func (r *writePoller) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoll.Close()
	r.epoll = nil
}

// control is epoll_ctl(2). The caller holds the lock, and epoll is open.
func (r *writePoller) control(operation, fd int) error {
	raw, err := r.epoll.SyscallConn()
	if err != nil {
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}
	if e := raw.Control(func(epoll uintptr) { err = unix.EpollCtl(int(epoll), operation, fd, &event) }); e != nil {
		return e
	}
	return os.NewSyscallError("epoll_ctl", err)
}

// await lets the session be told, once, when the socket takes bytes.
func (r *writePoller) await(fd int, s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[fd] == s || r.epoll == nil {
		return nil
	}
	err := r.control(unix.EPOLL_CTL_ADD, fd)
	if err == nil {
		r.waiting[fd] = s
	}
	return err
}

// forget undoes await. It must be called before the descriptor is closed or copied.
func (r *writePoller) forget(fd int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[fd] != nil && r.epoll != nil {
		delete(r.waiting, fd)
		_ = r.control(unix.EPOLL_CTL_DEL, fd)
	}
}

// run tells the sessions, until close.
func (r *writePoller) run() error {
	r.mu.Lock()
	file := r.epoll
	r.mu.Unlock()
	if file == nil { // it was closed before this began
		return nil
	}
	epoll, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var events [128]unix.EpollEvent
	for {
		var n int
		var failed error
		err := epoll.Read(func(fd uintptr) bool {
			n, failed = unix.EpollWait(int(fd), events[:], 0)
			return n > 0 || failed != nil && failed != unix.EINTR
		})
		if err != nil {
			return nil // it is closed
		}
		if failed != nil {
			return os.NewSyscallError("epoll_wait", failed)
		}
		for _, event := range events[:n] {
			fd := int(event.Fd)
			r.mu.Lock()
			s := r.waiting[fd]
			if s != nil && r.epoll != nil {
				delete(r.waiting, fd)
				_ = r.control(unix.EPOLL_CTL_DEL, fd)
			}
			r.mu.Unlock()
			if s != nil {
				s.shard().mail.put(task{do: s.hasRoom, session: s})
			}
		}
	}
}
