package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What a cluster is made of, and the contest that it keeps.
const (
	clusterServers  = 3
	clusterCentrals = 2
	clusterContest  = "loteria"
	exportName      = "export.csv" // what a central's --export writes, in the run's folder
	maxStore        = "64GB"       // of a NATS server; that much need not be free
)

// cluster is the NATS servers that several centrals share.
type cluster struct {
	servers []*natsServer
	ledger  string // for a central's --ledger
}

// natsServer is the process of a NATS server.
type natsServer struct {
	process
	ready bool // it takes connections
}

// newCluster prepares the servers, each with ports that nobody has at the
// moment: they have to know each other's before they start.
func newCluster(program, config, dir string) (*cluster, error) {
	ports, err := freePorts(2 * clusterServers)
	if err != nil {
		return nil, err
	}
	clients, routes := ports[:clusterServers], ports[clusterServers:]
	password := rand.Text()
	var c cluster
	for i := range clusterServers {
		var others []string
		for j, address := range routes {
			if j != i {
				u := url.URL{Scheme: "nats", User: url.UserPassword("routes", password), Host: address}
				others = append(others, u.String())
			}
		}
		list, _ := json.Marshal(others) // of strings: no error
		name := fmt.Sprintf("nats-%d", i+1)
		s := &natsServer{process: process{
			who:     fmt.Sprintf("nats %d", i+1),
			path:    program,
			logName: name + ".log",
			args:    []string{"-c", config},
			parse:   parseServer,
			env: []string{
				"NATS_NAME=" + name,
				fmt.Sprintf("NATS_LISTEN=%q", clients[i]),
				`NATS_MONITOR="127.0.0.1:-1"`,
				fmt.Sprintf("NATS_STORE_DIR=%q", filepath.Join(dir, name)),
				"NATS_MAX_FILE_STORE=" + maxStore,
				fmt.Sprintf("NATS_CLUSTER_LISTEN=%q", routes[i]),
				"NATS_ROUTES=" + string(list),
				fmt.Sprintf("NATS_ROUTES_PASSWORD=%q", password),
				fmt.Sprintf("NATS_OPERATOR_PASSWORD=%q", rand.Text()),
			},
		}}
		s.read = s.hear
		s.judge = s.endedEarly
		c.servers = append(c.servers, s)
	}
	c.ledger = "nats://" + strings.Join(clients, ",")
	return &c, nil
}

// freePorts finds addresses of this machine on which nobody listens.
func freePorts(n int) (addresses []string, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer listener.Close() // all of them at the end, or one would be found twice
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// parseServer makes a record of the one line of a NATS server's log that
// matters here.
func parseServer(line string) (record, bool) {
	return record{action: "ready", result: "success"}, strings.HasSuffix(line, "[INF] Server is ready")
}

func (s *natsServer) hear(record, event) (news string, err error) {
	s.ready = true
	return "ready", nil
}

// startServers starts the NATS servers and waits for them.
func (r *round) startServers(dir string, deadline time.Time) error {
	var err error
	if r.cluster, err = newCluster(r.nats, r.config, dir); err != nil {
		return err
	}
	for _, s := range r.cluster.servers {
		if err := s.start(r.dir, r.events); err != nil {
			return err
		}
	}
	return r.await(deadline, listenLimit, "was not ready", func(p *process) bool {
		return slices.ContainsFunc(r.cluster.servers, func(s *natsServer) bool { return p == &s.process && !s.ready })
	})
}

// question is an agency's process that only asks for its winners.
type question struct {
	process
	documents []string // the winners' DNIs, in the order of the answer
	winners   int
	answered  bool
}

func newQuestion(opts options, program, address string, agency, central int) *question {
	q := &question{process: process{
		who:     agencyName(agency),
		path:    program,
		logName: fmt.Sprintf("winners-%d-of-central-%d.log", agency, central),
		args: append(opts.tls.agency(agency),
			"--id", fmt.Sprint(agency),
			"--server-address", address,
			"--mode", "winners",
			"--winners",
			"--log-level", "INFO",
			"--log-format", "text",
		),
	}}
	q.read = q.hear
	q.judge = func() string {
		switch {
		case q.err != nil:
			return q.how()
		case !q.answered:
			return q.how() + " and logged no consulta_ganadores"
		}
		return ""
	}
	return q
}

// hear takes in a line of the answer.
func (q *question) hear(rec record, _ event) (news string, err error) {
	switch {
	case rec.result != "success":
	case rec.action == "ganador":
		q.documents = append(q.documents, rec.fields["dni"])
	case rec.action == "consulta_ganadores":
		q.winners, err = count(rec, "cant_ganadores")
		q.answered = true
	}
	return "", err
}

// askAll asks every central for every agency's winners: each has to tell the
// same.
func (r *round) askAll(deadline time.Time) error {
	told := make([]*question, len(r.agencies)) // by the first central
	for i, c := range r.centrals {
		var asked []*question
		for _, a := range r.agencies {
			q := newQuestion(r.opts, r.client, c.address, a.id, i+1)
			if err := q.start(r.dir, r.events); err != nil {
				return err
			}
			r.others = append(r.others, &q.process)
			asked = append(asked, q)
		}
		if err := r.awaitEnd(deadline, r.opts.grace, "did not get its winners"); err != nil {
			return err
		}
		for j, q := range asked {
			slices.Sort(q.documents)
			a := r.agencies[j]
			if told[j] == nil {
				told[j] = q
			}
			if q.winners != a.winners || !slices.Equal(q.documents, told[j].documents) {
				return fmt.Errorf("%s tells %s %s, which was told %s before", c.who, a.who,
					plural(q.winners, "winner", "winners"), plural(a.winners, "winner", "winners"))
			}
		}
	}
	r.screen.say("run", "every central tells the same winners")
	return nil
}

// export writes the rows of the contest into a file, as an operator would.
func (r *round) export(dir string, deadline time.Time) error {
	export := &process{
		who:     "export",
		path:    r.server,
		logName: "export.log",
		args: []string{
			"--export", filepath.Join(dir, exportName),
			"--ledger", r.cluster.ledger,
			"--contest", clusterContest,
			"--expected-agencies", fmt.Sprint(r.opts.agencies),
			"--log-level", "INFO", "--log-format", "text",
		},
	}
	export.judge = func() string {
		if export.err != nil {
			return export.how()
		}
		return ""
	}
	if err := export.start(r.dir, r.events); err != nil {
		return err
	}
	r.others = append(r.others, export)
	return r.awaitEnd(deadline, r.opts.timeout, "was not done")
}

// await waits until there is no process left of which something is missing.
func (r *round) await(deadline time.Time, limit time.Duration, what string, missing func(*process) bool) error {
	err := r.until(func() bool { return !slices.ContainsFunc(r.processes(), missing) }, earlier(deadline, time.Now().Add(limit)))
	if errors.Is(err, errLate) {
		for _, p := range r.processes() {
			if missing(p) {
				r.fail(p, fmt.Sprintf("%s within %s", what, min(r.opts.timeout, limit)))
			}
		}
		return errFailed
	}
	return err
}

// awaitEnd waits for what ends by itself.
func (r *round) awaitEnd(deadline time.Time, limit time.Duration, what string) error {
	return r.await(deadline, limit, what, func(p *process) bool { return p.alive() && slices.Contains(r.others, p) })
}

// compareFiles compares an export with the files of the agencies: each one's
// rows, all of them, once, in their order.
func compareFiles(export, data string, agencies []*agency) error {
	files := make(map[string]*rowReader)
	for _, a := range agencies {
		file, err := openRows(data, a.id)
		if err != nil {
			return err
		}
		defer file.Close()
		files[fmt.Sprint(a.id)] = file
	}
	stored, err := os.Open(export)
	if err != nil {
		return err
	}
	defer stored.Close()
	name := filepath.Base(export)
	n := 0
	for row, err := range readRows(stored, betFields) {
		if err != nil {
			return fmt.Errorf("reading %s: %w", export, err)
		}
		n++
		file := files[row[0]]
		if file == nil {
			return fmt.Errorf("%s, row %d: agency %q has no file", name, n, row[0])
		}
		want, err := file.next()
		if err != nil {
			return err
		}
		if !slices.Equal(want, row[1:]) {
			return fmt.Errorf("%s, row %d: agency %s's next bet is %q, and here is %q", name, n, row[0], want, row[1:])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(files)) {
		if row, err := files[id].next(); err != nil || row != nil {
			return errors.Join(err, fmt.Errorf("%s lacks the bet %q of agency %s", name, row, id))
		}
	}
	return nil
}
