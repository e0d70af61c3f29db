package server_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/cluster/natstest"
	"loteria/codec"
	"loteria/docs/markdown"
	"loteria/internal/process/processtest"
	"loteria/lottery/csvledger"
)

// reader follows docs/cluster.md in a folder of their own, with three NATS servers
// and the programs in PATH.
type reader struct {
	*testing.T
	servers     *natstest.Cluster
	folder      string
	replace     *strings.Replacer // where the servers are
	environment []string
}

func newReader(t *testing.T) *reader {
	r := &reader{T: t, servers: natstest.StartProcesses(t), folder: t.TempDir()}
	operator, err := url.Parse(r.servers.OperatorURLs()[0])
	if err != nil {
		t.Fatal(err)
	}
	password, _ := operator.User.Password()
	places := []string{"PASSWORD", password, "nats1:8222", r.servers.Monitor(0)}
	for i, address := range r.servers.URLs() {
		places = append(places, fmt.Sprintf("nats%d:4222", i+1), strings.TrimPrefix(address, "nats://"))
	}
	r.replace = strings.NewReplacer(places...)
	r.environment = []string{
		"PATH=" + programs.Folder(t) + ":" + os.Getenv("PATH"), "HOME=" + r.folder,
		"BIND_ADDRESS=127.0.0.1", "SERVER_PORT=0", "ADMIN_ADDRESS=off",
	}
	return r
}

// start starts a command: its servers are those of the test, and the environment
// chooses the port of a central.
func (r *reader) start(command string, environment ...string) *processtest.Process {
	r.Helper()
	cmd := exec.Command("sh", "-c", r.replace.Replace(command))
	cmd.Dir, cmd.Env = r.folder, append(slices.Clone(r.environment), environment...)
	return processtest.Start(r.T, cmd, nil)
}

// try runs a command, expects success, and returns what it prints.
func (r *reader) try(command string, environment ...string) string {
	r.Helper()
	p := r.start(command, environment...)
	if code := p.End(); code != 0 {
		r.Fatalf("%s: exit code %d: %v", command, code, p)
	}
	return strings.Join(p.Lines(), "\n") + "\n"
}

// expect runs a command, which has to print the texts.
func (r *reader) expect(command string, texts ...string) {
	r.Helper()
	said := r.try(command)
	for _, text := range texts {
		if !strings.Contains(said, text) {
			r.Errorf("%s prints no %q:\n%s", command, text, said)
		}
	}
}

func (r *reader) write(name, content string) {
	r.Helper()
	path := filepath.Join(r.folder, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o644)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// sorted returns the lines of a file in their order.
func (r *reader) sorted(name string) []string {
	r.Helper()
	return slices.Sorted(strings.Lines(string(read(r.T, filepath.Join(r.folder, name)))))
}

// A contest of two centrals is begun, bet in, drawn, looked at, moved into a folder
// and back, with the commands of docs/cluster.md. The agencies are 1 to 5, the
// addresses a and b those of the centrals.
func TestDocumentedContest(t *testing.T) {
	r := newReader(t)
	const here = "buenos-aires"
	begin := markdown.Quoted("server --ledger nats://nats1:4222,nats2:4222,nats3:4222 --contest navidad --expected-agencies 5 --central buenos-aires")
	var centrals []*processtest.Process
	var addresses []string
	for _, name := range []string{here, "rosario"} {
		p := r.start("exec "+strings.Replace(begin, here, name, 1), "STORAGE_DIR="+name)
		centrals, addresses = append(centrals, p), append(addresses, listens(p))
	}
	agency := markdown.Quoted("client --id 1 --server-address a:12345,b:12345")
	var agencies []*processtest.Process
	var want []string
	for id := 1; id <= 5; id++ {
		row := fmt.Sprintf("Ana,Paz,%d,1999-03-17,7574\n", 30904465+id)
		r.write(fmt.Sprintf(".data/agency-%d.csv", id), row)
		want = append(want, fmt.Sprintf("%d,%s", id, row))
		slices.Reverse(addresses)
		command := strings.NewReplacer("--id 1", fmt.Sprint("--id ", id), "a:12345", addresses[0], "b:12345", addresses[1]).Replace(agency)
		agencies = append(agencies, r.start("exec "+command))
	}
	for _, p := range agencies {
		if code := p.End(); code != 0 || p.Count("action: consulta_ganadores | result: success | cant_ganadores: 1") != 1 {
			t.Fatalf("exit code %d: %v", code, p)
		}
	}
	r.servers.WaitCurrent("loteria-navidad")
	check := markdown.Quoted("server --ledger nats://nats1:4222,nats2:4222,nats3:4222 --contest navidad --check")
	r.expect(check, ": 5 rows, ", "the copy on nats-0 is whole", "the copy on nats-1 is whole", "the copy on nats-2 is whole", "\nnothing is damaged\n")
	r.servers.Stop(2)
	r.expect(check, "nats-2", "not read", "nothing is damaged in what was read")
	r.servers.Restart(2)
	for i, p := range centrals {
		p.Await("action: acta | result: success")
		p.Stop()
		read(t, filepath.Join(r.folder, []string{here, "rosario"}[i], "navidad", "acta.json"))
	}

	r.expect(markdown.Quoted("server --ledger nats://nats1:4222 --contest navidad --export bets.csv"))
	if got := r.sorted("bets.csv"); strings.Join(got, "") != strings.ReplaceAll(strings.Join(want, ""), "\n", "\r\n") {
		t.Errorf("the export has %q, expected %q", got, want)
	}
	winners := markdown.Quoted("server --ledger nats://nats1:4222 --contest navidad --winners")
	told := r.try(winners)
	if strings.Count(told, "\n") != 6 || !strings.Contains(told, "\n5,30904470,") {
		t.Errorf("the winners are %q", told)
	}
	r.expect(markdown.Quoted("server --contest navidad --storage-dir backup --import nats://nats1:4222"), "both are the same, and nothing is damaged")
	if got, exported := r.sorted("backup/navidad/"+csvledger.LedgerFile), r.sorted("bets.csv"); !slices.Equal(got, exported) {
		t.Errorf("the folder has %q, the export %q", got, exported)
	}
	// It takes the folder from the environment.
	if said := r.try(markdown.Quoted("server --check"), "CONTEST=navidad", "STORAGE_DIR=backup"); !strings.Contains(said, ": 5 rows, ") || !strings.Contains(said, "agency 5: 1 bets") {
		t.Errorf("the check of the folder says %s", said)
	}
	back := markdown.Quoted("server --ledger nats://nats1:4222 --contest navidad --import backup/navidad")
	if p := r.start(back); p.End() != 1 || !strings.Contains(p.Stderr(), "nothing was imported: the target has a contest already") {
		t.Errorf("the import into a contest: %v", p)
	}
	conn, err := nats.Connect(r.servers.OperatorURLs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if js, err := jetstream.New(conn); err != nil || js.DeleteStream(t.Context(), "loteria-navidad") != nil {
		t.Fatalf("the stream is not deleted (%v)", err)
	}
	r.expect(back, "both are the same, and nothing is damaged")
	if again := r.try(winners); again != told {
		t.Errorf("the winners are %q, and were %q", again, told)
	}
}

// An operator looks at the servers and at a contest, and changes them while a
// central runs. The servers are called nats-0 to nats-3.
func TestDocumentedOperations(t *testing.T) {
	if _, err := exec.LookPath("nats"); err != nil {
		t.Skip("there is no nats, which is NATS' own tool")
	}
	const stream = "loteria-navidad"
	r := newReader(t)
	p := r.start("exec server --ledger nats://nats1:4222,nats2:4222,nats3:4222 --contest navidad --expected-agencies 1")
	address := listens(p)
	bet := func() {
		t.Helper()
		exchange(t, address, []codec.Message{&codec.Bet{RawBet: raw}}, []codec.Message{stored})
	}
	bet()
	r.servers.WaitCurrent(stream)
	info := markdown.Quoted("NATS_URL=nats://operator:PASSWORD@nats1:4222 nats stream info loteria-navidad")
	r.expect(info, "Leader: nats-", "Maximum Bytes: 8.0 GiB", ", current, seen ")
	// Commands without NATS_URL take it from the environment.
	r.environment = append(r.environment, r.replace.Replace(strings.Fields(info)[0]))
	r.expect(markdown.Quoted("nats stream edit loteria-navidad --max-bytes 16GiB --force"), "Maximum Bytes: 16 GiB")
	bet()
	// This contest's one agency is 1.
	last := markdown.Quoted("nats stream get loteria-navidad --last-for loteria-navidad.bets.7")
	r.expect(strings.Replace(last, ".7", ".1", 1), "Kind: bets", "Bets: 1", "30904465")

	fourth := r.servers.Add()
	r.servers.Stop(2)
	r.servers.WaitReady() // it may have led
	remove := markdown.Quoted("NATS_URL=nats://system:PASSWORD@nats1:4222 nats server cluster peer-remove nats3 --force")
	r.expect(strings.Replace(remove, "nats3 ", r.servers.Name(2)+" ", 1))
	r.servers.WaitCurrent(stream)
	r.expect(info, r.servers.Name(fourth))
	bet()

	r.expect(markdown.Quoted("nats backup stream loteria-navidad backup/loteria-navidad"))
	bets := r.try("server --ledger nats://nats1:4222 --contest navidad --so-far --export -")
	p.Stop()
	r.expect(markdown.Quoted("nats stream rm loteria-navidad --force"))
	if p := r.start(info); p.End() == 0 {
		t.Errorf("the stream is still there: %v", p)
	}
	restore := markdown.Quoted("nats backup restore stream backup/loteria-navidad")
	r.expect(restore)
	if p := r.start(restore); p.End() == 0 {
		t.Errorf("it is restored over a stream: %v", p)
	}
	if again := r.try("server --ledger nats://nats1:4222 --contest navidad --so-far --export -"); again != bets || strings.Count(bets, "\n") != 3 {
		t.Errorf("restored are %q, and were %q", again, bets)
	}
}

// Only the server itself says whether it syncs.
func TestDocumentedQuestion(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	newReader(t).expect(markdown.Quoted("curl -s http://nats1:8222/varz"), `"sync_always": true`)
}
