package main

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"loteria/cmd/internal/settings"
	"loteria/internal/logline"
	"loteria/lottery"
)

// config is what the central is told when it starts.
type config struct {
	port  int    // TCP; 0 takes any free port, noPort is none
	bind  string // IP address to listen on; empty listens on all
	admin string // host:port of the admin port; empty is none
	named string // name under which agencies reach the central; not used here

	listenBacklog    int // connections that the kernel holds until they are accepted
	logLevel         zerolog.Level
	logFormat        logline.Format
	expectedAgencies int  // agencies that must finish before the draw
	maxWorkers       int  // event loops at most; 0 is one for each core
	loops            int  // event loops; 0 is as many as allowed
	echo             bool // lines that are not frames are sent back
	tls              tlsConfig
	acta             actaConfig
	adminAccess      adminAccess
	output           outputConfig
	ledger           servers // NATS servers of the ledger; none is the folder
	nats             access  // to them
	central          string  // name of this central for others; empty is the host's
	storageDir       string  // folder of the ledger
	contest          string  // folder below storageDir; empty is storageDir itself
	maxConnections   int
	maxPerAddress    int           // connections from one IP address or IPv6 network
	maxLine          int           // bytes of a line that is echoed
	frameTimeout     time.Duration // for a frame or line to become complete
	idleTimeout      time.Duration // with nothing sent and no answer due
	windowFrames     int           // frames of one connection that may wait for their answer
	windowBytes      int           // bytes of those frames
	maxWaiting       int           // bytes of all connections' frames that may wait
	maxUnread        int           // bytes of answers that a peer may leave unread
	shutdownTimeout  time.Duration // most time that a stop waits for work in flight
	noSync           bool          // leave it to the operating system when bets go to disk
	drawDeadline     time.Time     // when betting ends at the latest; zero is never
	drawWithout      []int         // agencies whose betting is ended at the start
	reopen           bool          // accept bets without a contest.json
	adminHosts       []string      // host names that the admin port accepts
	profiles         bool          // /debug/pprof on the admin port
	healthcheck      bool          // only check whether the central is up
	check            bool          // only read the ledger
	export           string        // only write its bets to this file; - is stdout
	importFrom       origin        // only copy this contest into the ledger
	warnings         []string      // about settings that were ignored
}

// perAddress is the default of maxPerAddress: a quarter of that of
// maxConnections.
const perAddress = 32768

// maxContest bounds the name of a contest, in bytes.
const maxContest = 64

// loadConfig reads the configuration from the command line (without the
// program's name), the environment (like os.Environ) and the file. Its errors
// are for settings.Report.
func loadConfig(args, environ []string) (config, error) {
	var c config
	s := table(&c)
	err := s.Load(args, environ)
	if err == nil {
		err = checkZone(environ)
	}
	for _, check := range []func(*settings.Set, *config) error{checkTLSSettings, checkPorts, checkAdminAccess, checkOutputSettings, checkLedgerSettings} {
		if err == nil {
			err = check(s, &c)
		}
	}
	c.warnings = s.Warnings()
	return c, err
}

// table is every setting of the command.
func table(c *config) *settings.Set {
	s := settings.New("server", "The central of the lottery: takes the agencies' bets, draws, and tells each its winners.",
		settings.File{Default: "config.ini", Env: "SERVER_CONFIG"})

	settings.Add(s, &c.port, settings.Setting{
		Key: "SERVER_PORT", Flag: "port", Env: "SERVER_PORT", Default: "12345",
		About: "TCP port to listen on, for whoever can reach it; 0 takes any free port, off leaves only that of TLS",
	}, settings.Parsed(allowedPort, parsePort))
	settings.Add(s, &c.bind, settings.Setting{
		Key: "BIND_ADDRESS", Flag: "bind", Env: "BIND_ADDRESS",
		About: "address to listen on; empty listens on all",
	}, settings.Parsed("an IP address", parseIP).OrEmpty())
	settings.Add(s, &c.listenBacklog, settings.Setting{
		Key: "SERVER_LISTEN_BACKLOG", Flag: "listen-backlog", Env: "SERVER_LISTEN_BACKLOG", Default: "128",
		About: "connections that the kernel holds until they are accepted",
	}, settings.Int(1, 65535))
	settings.Add(s, &c.logLevel, settings.Setting{
		Key: "LOGGING_LEVEL", Flag: "log-level", Env: "LOGGING_LEVEL", Default: "INFO",
		About: "log lines of this level and above",
	}, settings.Parsed("one of "+logline.LevelNames, logline.ParseLevel))
	settings.Add(s, &c.logFormat, settings.Setting{
		Key: "LOG_FORMAT", Flag: "log-format", Env: "LOG_FORMAT", Default: "text",
		About: "shape of a log line",
	}, settings.Parsed("one of "+logline.FormatNames, logline.ParseFormat))
	settings.Add(s, &c.expectedAgencies, settings.Setting{
		Key: "EXPECTED_AGENCIES", Flag: "expected-agencies", Env: "EXPECTED_AGENCIES", Default: "5",
		About: "agencies, numbered from 1, that must finish before the draw",
	}, settings.Int(1, 100_000))
	settings.Add(s, &c.maxWorkers, settings.Setting{
		Key: "MAX_WORKERS", Flag: "max-workers", Env: "MAX_WORKERS", Default: "0",
		About: "event loops that work on bets at the same time, at most; 0 is one for each core",
	}, settings.Int(0, 4096))
	settings.Add(s, &c.loops, settings.Setting{
		Key: "LOOPS", Flag: "loops", Env: "LOOPS", Default: "0",
		About: "event loops, each with connections of its own; 0 is as many as max-workers allows, and one for each core at most",
	}, settings.Int(0, 4096))
	settings.Add(s, &c.echo, settings.Setting{
		Key: "ECHO", Flag: "echo", Env: "ECHO", Default: "true",
		About: "send back the lines of connections that do not speak the protocol",
	}, settings.Bool())
	addTLSSettings(s, c)
	addLedgerSettings(s, c)
	settings.Add(s, &c.storageDir, settings.Setting{
		Key: "STORAGE_DIR", Flag: "storage-dir", Env: "STORAGE_DIR", Default: ".",
		About: "folder of bets.csv and of the socket of server ctl; a contest has a folder of its own below it",
	}, settings.Text())
	settings.Add(s, &c.contest, settings.Setting{
		Key: "CONTEST", Flag: "contest", Env: "CONTEST",
		About: "name of this lottery, under which its bets are kept",
	}, settings.Parsed("up to 64 letters, digits, -, _ and . (not first)", parseContest).OrEmpty())
	settings.Add(s, &c.maxConnections, settings.Setting{
		Key: "MAX_CONNECTIONS", Flag: "max-connections", Env: "MAX_CONNECTIONS", Default: "131072",
		About: "connections at the same time, with TLS or without; further ones are closed at once",
	}, settings.Int(1, 1_000_000))
	settings.Add(s, &c.maxPerAddress, settings.Setting{
		Key: "MAX_CONNECTIONS_PER_ADDRESS", Flag: "max-connections-per-address", Env: "MAX_CONNECTIONS_PER_ADDRESS", Default: strconv.Itoa(perAddress),
		About: "connections from one IPv4 address, or one IPv6 network of 64 bits, at the same time; the default is lowered to a quarter of the connections that the limit of open files allows",
	}, settings.Int(1, 1_000_000))
	settings.Add(s, &c.maxLine, settings.Setting{
		Key: "MAX_LINE", Flag: "max-line", Env: "MAX_LINE", Default: "1024",
		About: "bytes of a line that is sent back",
	}, settings.Int(1, 65_536))
	settings.Add(s, &c.frameTimeout, settings.Setting{
		Key: "FRAME_TIMEOUT", Flag: "frame-timeout", Env: "FRAME_TIMEOUT", Default: "30s",
		About: "most time from the first byte of a frame or line to its last",
	}, settings.Duration(time.Second, 24*time.Hour))
	settings.Add(s, &c.idleTimeout, settings.Setting{
		Key: "IDLE_TIMEOUT", Flag: "idle-timeout", Env: "IDLE_TIMEOUT", Default: "10m",
		About: "most time that a connection says nothing while it waits for no answer",
	}, settings.Duration(time.Second, 7*24*time.Hour))
	settings.Add(s, &c.windowFrames, settings.Setting{
		Key: "WINDOW_FRAMES", Flag: "window-frames", Env: "WINDOW_FRAMES", Default: "1024",
		About: "frames of one connection that may wait for their answer",
	}, settings.Int(1, 65_536))
	settings.Add(s, &c.windowBytes, settings.Setting{
		Key: "WINDOW_BYTES", Flag: "window-bytes", Env: "WINDOW_BYTES", Default: "1048576",
		About: "bytes of one connection's frames that may wait for their answer",
	}, settings.Int(8192, 64<<20))
	settings.Add(s, &c.maxWaiting, settings.Setting{
		Key: "MAX_WAITING_BYTES", Flag: "max-waiting-bytes", Env: "MAX_WAITING_BYTES", Default: "268435456",
		About: "bytes of all connections' frames that may wait; beyond it the answer is RETRY",
	}, settings.Int(8192, 1<<40))
	settings.Add(s, &c.maxUnread, settings.Setting{
		Key: "MAX_UNREAD_BYTES", Flag: "max-unread-bytes", Env: "MAX_UNREAD_BYTES", Default: "1048576",
		About: "bytes of answers, other than winners, that an agency may leave unread before it is cut off",
	}, settings.Int(8192, 1<<30))
	settings.Add(s, &c.shutdownTimeout, settings.Setting{
		Key: "SHUTDOWN_TIMEOUT", Flag: "shutdown-timeout", Env: "SHUTDOWN_TIMEOUT", Default: "5s",
		About: "most time that a stop waits for work in flight, and for the ledger to close",
	}, settings.Duration(0, time.Hour))
	settings.Add(s, &c.named, settings.Setting{
		Key:   "SERVER_IP",
		About: "name under which agencies reach the central; files carry it, the central does not use it",
	}, settings.Text().OrEmpty())

	settings.Add(s, &c.noSync, settings.Setting{
		Key: "FSYNC", Flag: "fsync", Env: "FSYNC", Default: "always",
		About: "when a bet counts as stored: synced to disk (always), or handed to the operating system (never), which a crash of the machine may lose",
	}, settings.Parsed("one of always, never", parseFsync))
	settings.Add(s, &c.drawDeadline, settings.Setting{
		Key: "DRAW_DEADLINE", Flag: "draw-deadline", Env: "DRAW_DEADLINE",
		About: "from then on, by the clock, no bets are taken, and the draw is made from what is stored; kept with the contest, also when it is not given again",
	}, settings.Parsed(timeExample, parseTime).OrEmpty())
	settings.Add(s, &c.drawWithout, settings.Setting{
		Flag:  "draw-without",
		About: "agencies that the draw no longer waits for: it is made from what is stored of theirs",
	}, settings.Parsed("numbers of agencies, separated by commas", parseAgencies).OrAbsent())
	settings.Add(s, &c.reopen, settings.Setting{
		Flag: "reopen", Default: "false",
		About: "take up a bets.csv beside which contest.json is missing: no agency counts as finished then",
	}, settings.Bool())
	settings.Add(s, &c.admin, settings.Setting{
		Key: "ADMIN_ADDRESS", Flag: "admin", Env: "ADMIN_ADDRESS", Default: "127.0.0.1:8080",
		About: "where the page, the metrics and the checks of health are, over HTTP and for whoever can reach it, unless admin-token-file and admin-tls are given; never the lottery's port",
	}, settings.Parsed("host:port, the port from 0 (any free one) to 65535, or off", parseAdmin).OrEmpty())
	settings.Add(s, &c.adminHosts, settings.Setting{
		Key: "ADMIN_HOSTS", Flag: "admin-hosts", Env: "ADMIN_HOSTS",
		About: "names under which the admin port may be asked, beside localhost, its own address and the host of --admin; a web page must not read it under a name of its own",
	}, settings.Parsed("names or IP addresses, without port, separated by commas", parseHosts).OrEmpty())
	settings.Add(s, &c.profiles, settings.Setting{
		Key: "ADMIN_PPROF", Flag: "admin-pprof", Env: "ADMIN_PPROF", Default: "false",
		About: "serve Go's profiles below /debug/pprof there",
	}, settings.Bool())
	settings.Add(s, &c.check, settings.Setting{
		Flag: "check", Default: "false",
		About: "only read the ledger, print what is in it and what is wrong with it, and change nothing",
	}, settings.Bool())
	addOutputSettings(s, c)
	settings.Add(s, &c.importFrom, settings.Setting{
		Flag:  "import",
		About: "only take a whole contest into the ledger, which must be empty, and compare the two; no central may use either meanwhile",
	}, settings.Parsed("the folder of its bets.csv, or servers of NATS, "+serversExample+", that have the contest of this name", parseOrigin).OrAbsent())
	addActaSettings(s, c)
	addAdminAccessSettings(s, c)
	settings.Add(s, &c.healthcheck, settings.Setting{
		Flag: "healthcheck", Default: "false",
		About: "only check whether a central with this configuration takes connections",
	}, settings.Bool())

	return s
}

// eventLoops returns their number.
func (c config) eventLoops() int {
	loops, most := c.loops, c.maxWorkers
	if loops == 0 {
		loops = runtime.NumCPU()
	}
	if most > 0 {
		loops = min(loops, most)
	}
	return loops
}

// listenAddress returns the host:port for connections without TLS, or "".
func (c config) listenAddress() string {
	if c.port == noPort {
		return ""
	}
	return net.JoinHostPort(c.bind, strconv.Itoa(c.port))
}

func parseIP(text string) (string, error) {
	address, err := netip.ParseAddr(strings.TrimSpace(text))
	return address.String(), err
}

// parseAdmin parses host:port, or off, which is "".
func parseAdmin(text string) (string, error) {
	text = strings.TrimSpace(text)
	if strings.EqualFold(text, "off") {
		return "", nil
	}
	if portOf(text) < 0 {
		return "", errors.New("not host:port")
	}
	return text, nil
}

// portOf returns the port of host:port, or -1.
func portOf(address string) int {
	_, text, err := net.SplitHostPort(address)
	port, notNumber := strconv.ParseUint(text, 10, 16)
	if err != nil || notNumber != nil {
		return -1
	}
	return int(port)
}

// parseHosts parses hosts as in a Host header, without port.
func parseHosts(text string) (hosts []string, err error) {
	for _, host := range strings.Split(text, ",") {
		host = strings.TrimSpace(host)
		if _, err := netip.ParseAddr(host); err != nil && (host == "" || strings.ContainsAny(host, ":/*@[] ")) {
			return nil, errors.New("not a name")
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

func parseFsync(text string) (noSync bool, err error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "always":
		return false, nil
	case "never":
		return true, nil
	}
	return false, errors.New("not a policy")
}

// timeLayouts are RFC 3339, and the local times that a person writes.
var timeLayouts = []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"}

// timeExample says what parseTime accepts.
const timeExample = "a time like 2026-12-24T18:00:00-03:00, or 2026-12-24 18:00 in local time"

// parseTime parses a time of the years 1970 to 9998.
func parseTime(text string) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil && t.Year() >= 1970 && t.Year() < 9999 {
			return t, nil
		}
	}
	return time.Time{}, errors.New("not a time")
}

func parseAgencies(text string) (agencies []int, err error) {
	for _, number := range strings.Split(text, ",") {
		agency, err := lottery.ParseAgency(strings.TrimSpace(number))
		if err != nil {
			return nil, err
		}
		agencies = append(agencies, agency)
	}
	return agencies, nil
}

// folder returns the contest's folder.
func (c config) folder() string { return filepath.Join(c.storageDir, c.contest) }

var errContest = errors.New("not the name of a contest")

// parseContest accepts the name of one folder directly below, on any system: no
// separator, no ".", no "..", nothing hidden.
func parseContest(text string) (string, error) {
	if len(text) > maxContest || text[0] == '.' {
		return "", errContest
	}
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return "", errContest
		}
	}
	return text, nil
}
