//go:build linux

package cmd_test

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"loteria/codec"
	"loteria/lottery"
	"loteria/lottery/csvledger"
)

const pythonAgency = "../docs/examples/agency.py"

// lookPython returns the interpreter, and skips the test where there is none.
func lookPython(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 to run the agency with")
	}
	return python
}

// TestPythonAgency runs a lottery whose agencies are the example of
// docs/protocol.md. Their connections are cut now and then.
func TestPythonAgency(t *testing.T) {
	python := lookPython(t)
	folder, data := t.TempDir(), t.TempDir()
	address, stop := serve(t, folder)
	defer stop()
	var cuts atomic.Int64
	cuts.Store(8)
	told := make([]string, agencies+1)
	// Without one of them there is no draw, and the others wait for ever.
	ctx, cancel := context.WithTimeout(t.Context(), stuckTime)
	defer cancel()
	var running sync.WaitGroup
	for id := 1; id <= agencies; id++ {
		file := extract(t, "../.data/datasets.zip", id, data)
		proxy := startProxy(t, transport{}, address, 1, id, &cuts, 300*time.Millisecond)
		running.Go(func() {
			var complaints strings.Builder
			cmd := exec.CommandContext(ctx, python, pythonAgency, proxy.address(), strconv.Itoa(id), file)
			cmd.Stderr = &complaints
			output, err := cmd.Output()
			if err != nil {
				cancel()
				t.Errorf("agency %d: %v: %s", id, err, complaints.String())
			}
			told[id] = string(output)
		})
	}
	running.Wait()
	if left := cuts.Load(); left > 0 {
		t.Errorf("%d connections were still to be cut", left)
	}
	stop()
	rows := rowsOf(t, "../.data")
	compare(t, "encoding/csv", readCSV(t, filepath.Join(folder, csvledger.LedgerFile)), rows)
	for id := 1; id <= agencies; id++ {
		var want []string
		for _, row := range rows {
			if row[0] == strconv.Itoa(id) && row[5] == strconv.Itoa(lottery.WinningNumber) {
				want = append(want, row[3])
			}
		}
		if got := strings.Fields(told[id]); !slices.Equal(got, want) {
			t.Errorf("agency %d is told %q, expected %q", id, got, want)
		}
	}
}

// TestPythonAgencyCutAnywhere ends the connection after each byte of the central's
// answers. The agency takes none that has come in part, and connects again.
func TestPythonAgencyCutAnywhere(t *testing.T) {
	python := lookPython(t)
	file := filepath.Join(t.TempDir(), "agency.csv")
	if err := os.WriteFile(file, []byte("Ana,Ruiz,30904465,1999-03-17,7574\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	answers := mustFrames(&codec.ResumePoint{Digest: xxhash.Sum64(nil)}, &codec.Success{}, &codec.Success{},
		&codec.WinnersPart{Documents: []string{"30904465"}}, &codec.Winners{Documents: []string{"30904466"}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var central sync.WaitGroup
	central.Go(func() {
		for size := range len(answers) + 1 {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// What it has sent is read, or its connection would be reset.
			_, _ = conn.Write(answers[:size])
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), stuckTime)
	defer cancel()
	output, err := exec.CommandContext(ctx, python, "-c", pythonHurries, pythonAgency, listener.Addr().String(), "1", file).CombinedOutput()
	if said := strings.Split(string(output), "\n"); err != nil || said[len(said)-2] != "30904465 30904466" || len(said)-2 != len(answers) {
		t.Errorf("cut after each of %d bytes, it ends with %v and says:\n%s", len(answers), err, output)
	}
	listener.Close()
	central.Wait()
}

// TestPythonAgencyRefuses gives the example answers that are none, and files that
// hold no bets. It ends at once, with one line that says why.
func TestPythonAgencyRefuses(t *testing.T) {
	python := lookPython(t)
	point, success := mustFrames(&codec.ResumePoint{Digest: xxhash.Sum64(nil)}), mustFrames(&codec.Success{})
	const bet = "Ana,Ruiz,30904465,1999-03-17,7574\n"
	for name, test := range map[string]struct {
		answers []byte
		rows    string
		says    string // empty for no complaint
	}{
		"4 GiB":                     {[]byte("\xff\xff\xff\xff\x0a"), bet, "4294967295 bytes is too long"},
		"no delimiter":              {append(point[:len(point)-1:len(point)-1], 0), bet, "has no delimiter"},
		"another type":              {success, bet, "type 3, expected one of (10,)"},
		"an error without a code":   {[]byte("\x00\x00\x00\x02\x04\x00\x00\xff"), bet, "expected 3, got 1"},
		"a point of no count":       {[]byte("\x00\x00\x00\x00\x0a\xff"), bet, "requires a buffer of 16 bytes"},
		"a winner cut":              {slices.Concat(point, success, success, []byte("\x00\x00\x00\x07\x07\x00\x00\x00\x01\x00\x09a\xff")), bet, "requires a buffer of"},
		"four fields":               {nil, bet + "Ana,Ruiz,30904465,1999-03-17\n", "agency.csv, line 2: not five fields of a bet"},
		"a number that is none":     {nil, "Ana,Ruiz,30904465,1999-03-17,x\n", "agency.csv, line 1: not five fields of a bet"},
		"a name that is long":       {nil, strings.Repeat("a", 256) + ",Ruiz,30904465,1999-03-17,1\n", "agency.csv, line 1: not five fields of a bet"},
		"Latin-1":                   {nil, "Jos\xe9,Ruiz,30904465,1999-03-17,1\n", "can't decode byte 0xe9"},
		"a mark, CRLF, empty lines": {slices.Concat(point, success, success, mustFrames(&codec.Winners{})), "\ufeff\r\n" + bet + "\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "agency.csv")
			if err := os.WriteFile(file, []byte(test.rows), 0o600); err != nil {
				t.Fatal(err)
			}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var central sync.WaitGroup
			central.Go(func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Write(test.answers)
				_, _ = io.Copy(io.Discard, conn) // more answers than that would not help
			})
			defer central.Wait()
			defer listener.Close()
			ctx, cancel := context.WithTimeout(t.Context(), stuckTime)
			defer cancel()
			var said strings.Builder
			cmd := exec.CommandContext(ctx, python, pythonAgency, listener.Addr().String(), "1", file)
			cmd.Stderr = &said
			err = cmd.Run()
			if test.says == "" && (err != nil || said.Len() > 0) || test.says != "" && (cmd.ProcessState.ExitCode() != 1 ||
				!strings.HasPrefix(said.String(), "agency 1: ") || !strings.Contains(said.String(), test.says) || strings.Count(said.String(), "\n") != 1) {
				t.Errorf("it ends with %v and says %q, expected one line with %q", err, said.String(), test.says)
			}
		})
	}
}

// pythonHurries has the example connect again at once, as often as it takes.
const pythonHurries = `
import runpy, sys, time
time.sleep = lambda pause: None
names = runpy.run_path(sys.argv[1])
print(*names["Agency"](*sys.argv[2:]).run(1000))
`

// extract puts an agency's file into a folder.
func extract(t *testing.T, archive string, id int, folder string) string {
	t.Helper()
	zipped, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer zipped.Close()
	name := "agency-" + strconv.Itoa(id) + ".csv"
	file, err := zipped.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPythonAgencyStops gives it faults that it cannot mend: it says so and sends
// nothing.
func TestPythonAgencyStops(t *testing.T) {
	python := lookPython(t)
	const maria = "María José,\"O'Hara, \"\"Ñata\"\"\",0030904465,1999-03-17,7574\n"
	other := strings.Replace(maria, "7574", "1", 1)
	folder := t.TempDir()
	address, stop := serve(t, folder)
	defer stop()
	file := filepath.Join(t.TempDir(), "agency.csv")
	run := func(id, content string) (string, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		output, err := exec.CommandContext(t.Context(), python, "-c", pythonDelivers, pythonAgency, address, id, file).CombinedOutput()
		return string(output), err
	}
	if output, err := run("3", maria+other); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for name, test := range map[string]struct{ id, content, says string }{
		"other bets":     {"3", other + other, "2 other bets are stored"},
		"fewer bets":     {"3", maria, "2 other bets are stored"},
		"no such agency": {"9", maria, "unknown_agency"},
		"no number":      {"x", maria, "bad_agency"},
		"a bad document": {"4", strings.Replace(maria, "0030904465", "30.904.465", 1), "bad_document.*30.904.465"},
		"after finished": {"3", maria + other + other, "agency_finished"},
	} {
		t.Run(name, func(t *testing.T) {
			if output, err := run(test.id, test.content); err == nil || !regexp.MustCompile(test.says).MatchString(output) {
				t.Errorf("it ends with %v, and says %q, expected %q", err, output, test.says)
			}
		})
	}
	stop()
	got, err := os.ReadFile(filepath.Join(folder, csvledger.LedgerFile))
	if want := strings.ReplaceAll("3,"+maria+"3,"+other, "\n", "\r\n"); err != nil || string(got) != want {
		t.Errorf("stored is %q, %v; expected %q", got, err, want)
	}
}

// pythonDelivers has the example deliver its bets once, and not wait for the draw.
const pythonDelivers = `
import runpy, socket, sys
names = runpy.run_path(sys.argv[1])
agency = names["Agency"](*sys.argv[2:])
agency.connect()
agency.deliver()
`

// The example's XXH64 is that of the library that the central uses.
func TestPythonDigest(t *testing.T) {
	python := lookPython(t)
	const script = `
import runpy, sys
xxh64 = runpy.run_path(sys.argv[1])["xxh64"]
data = bytes(i * 7 % 251 for i in range(200))
for size in range(len(data) + 1):
    print("%016x" % xxh64(data[:size]))
`
	output, err := exec.Command(python, "-c", script, pythonAgency).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(output))
	var data []byte
	for size := range 201 {
		if want := fmt.Sprintf("%016x", xxhash.Sum64(data)); size >= len(got) || got[size] != want {
			t.Fatalf("of %d bytes: the digests are %q, expected %s", size, got, want)
		}
		data = append(data, byte(size*7%251))
	}
}
