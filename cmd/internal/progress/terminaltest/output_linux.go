package terminaltest

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// keepOutput makes a Ctrl-C keep pending output. Otherwise the kernel sends the
// signal and then discards it, with what a process has written about its end in
// between (NOFLSH, https://man7.org/linux/man-pages/man3/termios.3.html).
func keepOutput(control *os.File) error {
	raw, err := control.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		modes, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err == nil {
			modes.Lflag |= unix.NOFLSH
			err = unix.IoctlSetTermios(int(fd), unix.TCSETS, modes)
		}
		failed = err
	})
	return errors.Join(err, failed)
}
