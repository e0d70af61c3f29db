package natstest_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"loteria/cluster/natstest"
)

const asChild = "NATSTEST_CHILD"

// A killed test takes its servers along, even a paused server.
func TestServersDieWithTheTest(t *testing.T) {
	if os.Getenv(asChild) != "" {
		c := natstest.StartProcesses(t)
		c.Pause(2)
		fmt.Println("servers:", strings.Trim(fmt.Sprint(natstest.ProcessIDs(c)), "[]"))
		select {}
	}
	t.Parallel()
	child := exec.Command(os.Args[0], "-test.run", "^TestServersDieWithTheTest$", "-test.v")
	child.Env = append(os.Environ(), asChild+"=1", "TMPDIR="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []int
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, list, found := strings.Cut(lines.Text(), "servers: "); found {
			for _, word := range strings.Fields(list) {
				id, err := strconv.Atoi(word)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
			}
			break
		}
	}
	child.Process.Kill()
	child.Wait()
	if len(ids) != 3 {
		t.Fatalf("the child has named %d servers, want 3", len(ids))
	}
	deadline := time.Now().Add(patience)
	for _, id := range ids {
		for alive(id) {
			if time.Now().After(deadline) {
				t.Fatalf("the server %d runs although its test was killed", id)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// alive returns whether a process runs. A zombie does not.
func alive(id int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
