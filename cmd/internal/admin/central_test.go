package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"loteria/codec"
	"loteria/internal/leaktest"
	"loteria/lottery"
	"loteria/lottery/csvledger"
	"loteria/reactor"
)

func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if closeBrowser != nil {
		closeBrowser()
	}
	// gnet has these from the start of the program on.
	if err := leaktest.Find(
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
	); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// patience bounds every wait of these tests; none of them needs it.
const patience = 30 * time.Second

// central is a central with an admin port, on a real disk.
type central struct {
	t       testing.TB
	admin   *Server
	contest *lottery.Contest
	reactor *reactor.Server

	ledgerBytes func() int64
	address     string // of the lottery
	url         string // of the admin port
	log         *logBuffer

	tls           *reactor.TLS // nil is no port for TLS
	client        *http.Client // nil is the default one
	authorization string       // the header of each request; may be empty
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(text)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// show runs an admin port that has nothing to show yet.
func show(t testing.TB, agencies int, configure func(*Config)) *central {
	t.Helper()
	c := &central{t: t, log: &logBuffer{}}
	config := Config{Address: "127.0.0.1:0", Contest: "navidad", Agencies: agencies, Log: zerolog.New(c.log)}
	if configure != nil {
		configure(&config)
	}
	c.admin = New(config)
	c.run()
	return c
}

// run runs the admin port until it is stopped, or the test ends.
func (c *central) run() (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.admin.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	c.t.Cleanup(stop)
	c.awaitListening()
	c.url = "http://" + c.admin.address.String()
	return stop
}

func (c *central) awaitListening() {
	c.t.Helper()
	select {
	case <-c.admin.listening:
	case <-time.After(patience):
		c.t.Fatalf("the admin port never listened; the log is\n%s", c.log)
	}
}

// open opens the contest in the folder, without running the reactor.
func (c *central) open(folder string, observer reactor.Observer) {
	c.t.Helper()
	ledger, err := csvledger.Open(folder, c.admin.config.Agencies, csvledger.WithCommits(c.admin.Committed))
	if err != nil {
		c.t.Fatal(err)
	}
	c.ledgerBytes = ledger.Durable
	c.openOn(ledger, observer)
}

// openOn opens the contest on a ledger.
func (c *central) openOn(ledger lottery.Ledger, observer reactor.Observer) {
	c.t.Helper()
	contest, err := lottery.NewContest(ledger)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { contest.Close() }) // a test may have broken it
	c.contest = contest
	c.reactor = reactor.New(reactor.Config{
		Address:        "127.0.0.1:0",
		TLS:            c.tls,
		Backlog:        128,
		Loops:          2,
		MaxConnections: 100,
		MaxPerAddress:  100,
		WindowFrames:   1024,
		WindowBytes:    1 << 20,
		MaxWaiting:     64 << 20,
		MaxUnread:      1 << 20,
		FrameTimeout:   time.Hour,
		IdleTimeout:    time.Hour,
		StopTimeout:    10 * time.Second,
		Log:            zerolog.New(c.log),
		LoopLog:        zerolog.New(c.log),
		Observer:       observer,
	}, contest)
	c.admin.Watch(contest, c.ledgerBytes, c.reactor)
}

// listen runs the reactor until the test ends.
func (c *central) listen() {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.reactor.Run(ctx); err != nil {
			c.t.Error(err)
		}
	})
	c.t.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-c.reactor.Ready():
		c.address = c.reactor.Address().String()
	case <-time.After(patience):
		c.t.Fatal("the central does not listen")
	}
}

// start runs a central of that many agencies with its admin port.
func start(t testing.TB, agencies int) *central {
	t.Helper()
	c := show(t, agencies, nil)
	c.open(t.TempDir(), c.admin.Observer())
	c.listen()
	return c
}

// await polls until so returns true.
func (c *central) await(what string, so func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("it never came that %s; the log is\n%s", what, c.log)
		}
	}
}

// get returns the answer to GET.
func (c *central) get(path string) (code int, header http.Header, body string) {
	c.t.Helper()
	return c.request("GET", path)
}

func (c *central) request(method, path string) (code int, header http.Header, body string) {
	c.t.Helper()
	return c.do(method, path, nil)
}

// do returns the answer to a request with these headers.
func (c *central) do(method, path string, headers http.Header) (code int, header http.Header, body string) {
	c.t.Helper()
	request := c.newRequest(c.t.Context(), method, path)
	maps.Copy(request.Header, headers)
	response, err := c.http().Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

func (c *central) newRequest(ctx context.Context, method, path string) *http.Request {
	c.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	return request
}

func (c *central) http() *http.Client {
	if c.client != nil {
		return c.client
	}
	return http.DefaultClient
}

func (c *central) state() (s State) {
	c.t.Helper()
	_, _, body := c.get("/api/state")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		c.t.Fatalf("/api/state: %v in %s", err, body)
	}
	return s
}

// samples returns the metrics, by their names with labels.
func (c *central) samples() map[string]float64 {
	c.t.Helper()
	_, _, body := c.get("/metrics")
	samples := make(map[string]float64)
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, text, _ := strings.Cut(line, " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			c.t.Fatalf("/metrics: %v in %q", err, line)
		}
		samples[name] = value
	}
	return samples
}

// peer is an agency's connection.
type peer struct {
	t    testing.TB
	conn net.Conn
	read *bufio.Reader
}

func (c *central) dial() *peer {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return &peer{c.t, conn, bufio.NewReader(conn)}
}

func (p *peer) send(m codec.Message) {
	p.t.Helper()
	frame, err := codec.AppendFrame(nil, m)
	if err == nil {
		_, err = p.conn.Write(frame)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// expect reads a frame of that type.
func (p *peer) expect(kind codec.Type) {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	var head [5]byte
	_, err := io.ReadFull(p.read, head[:])
	if err == nil {
		size := int(head[0])<<24 | int(head[1])<<16 | int(head[2])<<8 | int(head[3])
		_, err = p.read.Discard(size + 1)
	}
	if err != nil || codec.Type(head[4]) != kind {
		p.t.Fatalf("received %v, %v, expected %v", codec.Type(head[4]), err, kind)
	}
}

// ask sends a message and reads its answer.
func (p *peer) ask(m codec.Message, kind codec.Type) {
	p.t.Helper()
	p.send(m)
	p.expect(kind)
}

// These values must appear nowhere on the admin port.
const (
	firstName = "Zulema"
	lastName  = "Quintriqueo"
	birthdate = "1971-11-23"
)

// rawBets returns bets of an agency, of which the first wins.
func rawBets(agency, n int) []lottery.RawBet {
	all := make([]lottery.RawBet, n)
	for i := range all {
		all[i] = lottery.RawBet{
			Agency: strconv.Itoa(agency), FirstName: firstName, LastName: lastName,
			Document: fmt.Sprint(90_000_000 + agency*1000 + i), Birthdate: birthdate, Number: strconv.Itoa(7574 - i),
		}
	}
	return all
}

func batch(agency, n int) *codec.Batch { return &codec.Batch{RawBets: rawBets(agency, n)} }

// badBatch has an invalid number.
func badBatch(agency, n int) *codec.Batch {
	b := batch(agency, n)
	b.RawBets[n-1].Number = "10000"
	return b
}

func finish(agency int) *codec.Finished { return &codec.Finished{Agency: strconv.Itoa(agency)} }

func query(agency int) *codec.WinnersQuery { return &codec.WinnersQuery{Agency: strconv.Itoa(agency)} }
