//go:build !linux

package process

import "syscall"

// DieTogether says whether no process outlives a program that is killed.
const DieTogether = false

// ownGroup gives a process a group of its own, so that a Ctrl-C at the
// terminal reaches the program alone, which then stops all in order. Only Linux
// can also end the process when the program itself is killed.
func ownGroup(attributes *syscall.SysProcAttr) {
	attributes.Setpgid = true
}
