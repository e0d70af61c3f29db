package logline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// disk is an underlying writer with room for that many bytes.
type disk struct {
	mu   sync.Mutex
	room int
	buf  bytes.Buffer
}

func (d *disk) setRoom(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = n
}

func (d *disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buf.String()
}

var errFull = errors.New("no space left on device")

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.room)
	d.room -= n
	d.buf.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// However a full disk cuts, no line is lost without an account, none is joined with
// another, and nothing is reported when nothing is lost.
func TestFullDisk(t *testing.T) {
	const line = "2000-01-01 00:00:00 INFO     n: 0\n"
	for _, room := range []int{0, 1, len(line) - 1, len(line), len(line) + 5, 3 * len(line)} {
		for _, reportRoom := range []int{-1, 0, 7} { // for the first try; -1 is enough
			t.Run(fmt.Sprint(room, " ", reportRoom), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					out := &disk{room: room}
					w := New(out, Text)
					log := w.Logger(zerolog.InfoLevel)
					for i := range 5 {
						log.Info().Int("n", i).Send()
					}
					time.Sleep(2 * flushDelay)
					for i := range 5 {
						log.Info().Int("n", i).Send()
					}
					time.Sleep(2 * flushDelay)
					synctest.Wait()
					if reportRoom >= 0 {
						out.setRoom(reportRoom)
						time.Sleep(retryDelay)
						synctest.Wait()
					}
					out.setRoom(1 << 20)
					time.Sleep(retryDelay) // nobody logs, and it is told all the same
					synctest.Wait()
					told := out.String()
					if !strings.HasSuffix(told, fmt.Sprintf("ERROR    action: log | result: fail | dropped_lines: %d | error: no space left on device\n", 10-room/len(line))) {
						t.Errorf("the log has\n%s", told)
					}
					log.Info().Int("n", 7).Send()
					if err := w.Close(); !errors.Is(err, errFull) {
						t.Errorf("Close: %v", err)
					}
					told = strings.TrimPrefix(out.String(), told)
					if told != "2000-01-01 00:00:01 INFO     n: 7\n" && told != "2000-01-01 00:00:02 INFO     n: 7\n" {
						t.Errorf("after that it has %q", told)
					}
					whole := 0
					for line := range strings.Lines(out.String()) {
						if strings.Contains(line, " n: ") && strings.HasSuffix(line, "\n") && len(line) == len("2000-01-01 00:00:00 INFO     n: 0\n") {
							whole++
						}
					}
					if want := (room+1)/len(line) + 1; whole != want { // a line break that was cut off is put in its place
						t.Errorf("%d lines are whole, expected %d:\n%s", whole, want, out)
					}
				})
			})
		}
	}
}

// There is one last try when the log is closed.
func TestFullDiskAtTheEnd(t *testing.T) {
	for _, again := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			out := &disk{}
			w := New(out, JSON)
			log := w.Logger(zerolog.InfoLevel)
			log.Info().Send()
			time.Sleep(2 * flushDelay)
			synctest.Wait()
			if again {
				out.setRoom(1 << 20)
			}
			if err := w.Close(); !errors.Is(err, errFull) {
				t.Errorf("Close: %v", err)
			}
			if told := strings.Contains(out.String(), `"dropped_lines":1,"error":"no space left on device"}`); told != again {
				t.Errorf("the log has %q", out)
			}
		})
	}
}

// A log that cannot be written blocks nobody, however much is logged.
func TestFullDiskKeepsNobodyWaiting(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	w := small(full, Text)
	event := bigEvent()
	for range 10 * w.limit / len(event) {
		if _, err := w.Write(event); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Close: %v", err)
	}
}

// On a file system that is really full, and then is not.
func TestFullFileSystem(t *testing.T) {
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	defer unix.Unmount(folder, unix.MNT_DETACH)
	file, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := New(file, Text)
	log := w.Logger(zerolog.InfoLevel)
	const lines = 3000
	for i := range lines { // some 100 KB
		log.Info().Int("n", i).Send()
	}
	awaitTrue(t, "the disk is full", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.failing && w.waiting == 0
	})
	if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Close: %v", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	dropped := 0
	last := text[bytes.LastIndexByte(bytes.TrimSpace(text), '\n')+1:]
	if _, err := fmt.Sscanf(timeless(last), "ERROR    action: log | result: fail | dropped_lines: %d | error: ", &dropped); err != nil {
		t.Fatalf("the last line is %q: %v", last, err)
	}
	whole := strings.Count(string(text), " n: ")
	if torn := strings.Count(string(text), "\n") - whole; torn != 1 && torn != 2 || dropped == 0 || whole+dropped < lines || whole+dropped > lines+1 {
		t.Errorf("%d lines begin, %d are missing, expected %d together", whole, dropped, lines)
	}
}

func awaitTrue(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came that %s", what)
		}
	}
}
