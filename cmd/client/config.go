package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"loteria/agency"
	"loteria/cmd/internal/settings"
	"loteria/codec"
	"loteria/internal/logline"
)

// What an agency does.
const (
	modeBatch   = string(agency.ModeBatch)
	modeBet     = string(agency.ModeBet)
	modeEcho    = string(agency.ModeEcho)
	modeWinners = string(agency.ModeWinners)
)

// What a terminal shows of a run.
const (
	progressBar   = "bar"
	progressLines = "lines" // and the bar
	progressOff   = "off"
)

// maxWindow is how many of the largest frames a central takes from one connection
// by default (WINDOW_BYTES).
const maxWindow = 1 << 20 / codec.MaxFrame

// config is what an agency is told when it starts.
type config struct {
	id            int    // number of the agency
	serverAddress string // host:port, or several separated by commas
	mode          string // modeBatch, modeBet, modeEcho or modeWinners
	loopAmount    int    // bets in mode bet, lines in mode echo
	loopPeriod    time.Duration
	logLevel      zerolog.Level
	logFormat     logline.Format
	progress      string // progressBar, progressLines or progressOff
	noProgress    bool   // as progressOff
	winners       bool   // each winner is shown or logged

	dataDir     string // folder of agency-N.csv, or of the zip that holds it; empty is findDataDir's
	batchMax    int    // bets in a batch; the frame limits it too
	batchWindow int    // batches sent ahead of their answers
	needResume  bool   // send nothing to a central without RESUME
	skipInvalid bool   // rows that are no valid bet are counted and left out
	allowEmpty  bool   // finish with no bets if the file has none

	retryPeriod    time.Duration // between two queries that were answered RETRY
	retryLimit     int           // such queries until it gives up
	connectLimit   int           // attempts to connect until it gives up; 0 is one too
	connectTimeout time.Duration // of one attempt

	bet bet // sent in mode bet
	tls tlsSettings
}

// bet is the bet of mode bet as given: it is validated where all bets are.
type bet struct {
	firstName, lastName, document, birthdate, number string
}

// loadConfig reads the configuration from the command line (without the
// program's name), the environment (like os.Environ) and the file. Its errors
// are for settings.Report.
func loadConfig(args, environ []string) (config, error) {
	var c config
	s := table(&c)
	err := s.Load(args, environ)
	if err == nil && c.mode == modeBet {
		err = s.Require("mode bet needs it",
			"bet.firstName", "bet.lastName", "bet.document", "bet.birthdate", "bet.number")
	}
	if err == nil && c.tls.isOn() {
		err = s.Require("over TLS it is needed", "tls.ca", "tls.cert", "tls.key")
	}
	if strings.Contains(c.serverAddress, ",") && !s.Given("batch.requireResume") {
		c.needResume = true
	}
	return c, err
}

// table is every setting of the command.
func table(c *config) *settings.Set {
	s := settings.New("client", "An agency of the lottery: sends its bets to the central and asks for its winners.",
		settings.File{Default: "config.yaml", Env: "CLI_CONFIG"})

	settings.Add(s, &c.id, settings.Setting{
		Key: "id", Flag: "id", Env: "CLI_ID",
		About: "number of the agency",
	}, settings.Int(1, 100_000))
	settings.Add(s, &c.serverAddress, settings.Setting{
		Key: "server.address", Flag: "server-address", Env: "CLI_SERVER_ADDRESS", Default: "server:12345",
		About: "where the central is; several addresses of one central are called in turn",
	}, settings.Parsed("host:port, the port from 1 to 65535, or up to 16 of them separated by commas", parseAddresses))
	settings.Add(s, &c.mode, settings.Setting{
		Key: "mode", Flag: "mode", Env: "CLI_MODE", Default: modeBatch,
		About: "batch sends the agency's file, bet sends one bet loop.amount times, echo sends loop.amount lines, winners only asks for the winners",
	}, settings.OneOf(modeBatch, modeBet, modeEcho, modeWinners))
	settings.Add(s, &c.loopAmount, settings.Setting{
		Key: "loop.amount", Flag: "loop-amount", Env: "CLI_LOOP_AMOUNT", Default: "5",
		About: "bets or lines to send in the modes bet and echo; 0 sends none",
	}, settings.Int(0, 1_000_000_000))
	settings.Add(s, &c.loopPeriod, settings.Setting{
		Key: "loop.period", Flag: "loop-period", Env: "CLI_LOOP_PERIOD", Default: "0",
		About: "pause between two messages, in every mode",
	}, settings.Duration(0, 24*time.Hour))
	settings.Add(s, &c.logLevel, settings.Setting{
		Key: "log.level", Flag: "log-level", Env: "CLI_LOG_LEVEL", Default: "INFO",
		About: "log lines of this level and above",
	}, settings.Parsed("one of "+logline.LevelNames, logline.ParseLevel))
	settings.Add(s, &c.logFormat, settings.Setting{
		Key: "log.format", Flag: "log-format", Env: "CLI_LOG_FORMAT", Default: "text",
		About: "shape of a log line",
	}, settings.Parsed("one of "+logline.FormatNames, logline.ParseFormat))
	settings.Add(s, &c.progress, settings.Setting{
		Key: "progress.show", Flag: "progress", Env: "CLI_PROGRESS", Default: progressBar,
		About: "on a terminal of 40 columns or more: a progress bar, also with the log line of each batch above it, or no bar but all lines, as elsewhere",
	}, settings.OneOf(progressBar, progressLines, progressOff))
	settings.Add(s, &c.noProgress, settings.Setting{
		Key: "progress.off", Flag: "no-progress", Env: "CLI_NO_PROGRESS", Default: "false",
		About: "the same as --progress=off",
	}, settings.Bool())
	settings.Add(s, &c.winners, settings.Setting{
		Key: "winners", Flag: "winners", Env: "CLI_WINNERS", Default: "false",
		About: "tell the DNI of each winner: a table below the progress bar, or a log line each",
	}, settings.Bool())

	settings.Add(s, &c.dataDir, settings.Setting{
		Key: "data.dir", Flag: "data-dir", Env: "CLI_DATA_DIR",
		About: "folder of agency-N.csv, or of a zip that holds it; empty is /data where that is a folder, else .data",
	}, settings.Text().OrEmpty())
	settings.Add(s, &c.batchMax, settings.Setting{
		Key: "batch.maxAmount", Flag: "batch-max-amount", Env: "CLI_BATCH_MAXAMOUNT", Default: "100",
		About: "most bets in a batch; a frame's 8,192 bytes limit it too",
	}, settings.Int(1, 100_000))
	settings.Add(s, &c.batchWindow, settings.Setting{
		Key: "batch.window", Flag: "window", Env: "CLI_BATCH_WINDOW", Default: "32",
		About: "batches sent ahead of their answers, to a central that knows RESUME",
	}, settings.Int(1, maxWindow))
	settings.Add(s, &c.skipInvalid, settings.Setting{
		Key: "batch.skipInvalid", Flag: "skip-invalid", Env: "CLI_BATCH_SKIPINVALID", Default: "false",
		About: "leave out rows that are no valid bet, and report them; else nothing is sent while there is one",
	}, settings.Bool())
	settings.Add(s, &c.allowEmpty, settings.Setting{
		Key: "batch.allowEmpty", Flag: "allow-empty", Env: "CLI_BATCH_ALLOWEMPTY", Default: "false",
		About: "finish with no bets when the file has none; else that is a failure",
	}, settings.Bool())

	settings.Add(s, &c.needResume, settings.Setting{
		Key: "batch.requireResume", Flag: "require-resume", Env: "CLI_BATCH_REQUIRERESUME", Default: "false",
		About: "send nothing to a central that does not answer RESUME: for agencies behind what closes connections by itself; the default is true with several addresses, and over TLS it is always so",
	}, settings.Bool())

	settings.Add(s, &c.retryPeriod, settings.Setting{
		Key: "retry.period", Flag: "retry-period", Env: "CLI_RETRY_PERIOD", Default: "2s",
		About: "pause before asking again after the answer RETRY",
	}, settings.Duration(0, 24*time.Hour))
	settings.Add(s, &c.retryLimit, settings.Setting{
		Key: "retry.limit", Flag: "retry-limit", Env: "CLI_RETRY_LIMIT", Default: "300",
		About: "answers RETRY until it gives up",
	}, settings.Int(0, 1_000_000))
	settings.Add(s, &c.connectLimit, settings.Setting{
		Key: "connect.limit", Flag: "connect-limit", Env: "CLI_CONNECT_LIMIT", Default: strconv.Itoa(agency.DefaultConnectLimit),
		About: "attempts to connect, at each address, until it gives up; 200 take three minutes at least; 0 is one attempt too",
	}, settings.Int(0, 100_000))
	settings.Add(s, &c.connectTimeout, settings.Setting{
		Key: "connect.timeout", Flag: "connect-timeout", Env: "CLI_CONNECT_TIMEOUT", Default: "5s",
		About: "most time for one attempt to connect to an address, and as much for the handshake of TLS",
	}, settings.Duration(time.Millisecond, time.Hour))

	addTLSSettings(s, &c.tls)
	for _, part := range []struct {
		into                  *string
		key, flag, env, about string
	}{
		{&c.bet.firstName, "bet.firstName", "first-name", "NOMBRE", "first name"},
		{&c.bet.lastName, "bet.lastName", "last-name", "APELLIDO", "last name"},
		{&c.bet.document, "bet.document", "document", "DOCUMENTO", "DNI"},
		{&c.bet.birthdate, "bet.birthdate", "birthdate", "NACIMIENTO", "birthdate, YYYY-MM-DD,"},
		{&c.bet.number, "bet.number", "number", "NUMERO", "number"},
	} {
		settings.Add(s, part.into, settings.Setting{
			Key: part.key, Flag: part.flag, Env: part.env,
			About: part.about + " of the bet in mode bet",
		}, settings.Text().OrEmpty())
	}

	return s
}

// parseAddresses returns the addresses as they are shown in the log.
func parseAddresses(text string) (string, error) {
	addresses, err := agency.ParseAddresses(text)
	return strings.Join(addresses, ","), err
}

// findDataDir returns the default folder of an agency's file: where containers have
// it mounted, or where it is in the project.
func findDataDir(mounted string) string {
	if info, err := os.Stat(mounted); err == nil && info.IsDir() {
		return mounted
	}
	return ".data"
}
