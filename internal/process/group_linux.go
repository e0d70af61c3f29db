package process

import "syscall"

// DieTogether says whether no process outlives a program that is killed.
const DieTogether = true

// ownGroup gives a process a group of its own, so that a Ctrl-C at the
// terminal reaches the program alone, which then stops all in order; and has the
// kernel kill the process when the program itself is killed.
//
// The kernel takes the end of the starting thread for the end of the program
// (prctl(2), PR_SET_PDEATHSIG), so the goroutine that starts a process must
// stay locked to its thread (https://go.dev/issue/27505).
func ownGroup(attributes *syscall.SysProcAttr) {
	attributes.Setpgid, attributes.Pdeathsig = true, syscall.SIGKILL
}
