//go:build !linux

package main

import "syscall"

// dieTogether says whether no process outlives a run that is killed.
const dieTogether = false

// ownGroup gives a process a group of its own, so that a Ctrl-C at the
// terminal reaches the run alone, which then stops all in order. Only Linux
// can also end the process when the run itself is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
