package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"loteria/cmd/internal/settings"
	"loteria/cmd/internal/signals"
)

const ctlName = "ctl"

const ctlUsage = `Usage: server ctl [flags] COMMAND

Operates the central that runs on the contest's folder, over the socket control.sock in it (with a
ledger in NATS control-NAME.sock, NAME being that of the central). It is found by the same settings
as the central has them: --storage-dir, --contest, --ledger, --central, their environment variables,
and the file (server --help). Only the central's own user and root may use it.

  status           how the central and its contest are
  end AGENCY…      end the betting of these agencies, as --draw-without does: the draw does not wait
                   for them any more, and is made from what is stored. 3 7 or 3,7. With one that there
                   is not, nothing is done
  deadline TIME    replace the time when betting ends, as --draw-deadline does, by the same rules.
                   A time without an offset is the central's local time, which the answer names
  drain            stop the central as SIGTERM does, and wait until it has ended

  --json           print what the central answers as JSON
  -h, --help       print this and exit

Exit code: 0 when it is done, 1 when it is refused or no central answers, 2 when it cannot be understood.
`

const (
	// ctlPatience is how long an answer is waited for: longer than the central
	// waits for a change and for the draw that follows.
	ctlPatience = 2*controlPatience + 10*time.Second
	// promptPatience is the same where nothing must become durable: longer than silent
	// connections keep others waiting.
	promptPatience = 4 * controlRead
	// drainLimit is how long a stop is waited for, which --shutdown-timeout bounds.
	drainLimit = time.Hour + time.Minute
	// maxAnswer bounds an answer, in bytes; a status is some 60 kB.
	maxAnswer = 16 << 20
)

// usageError is a command line of ctl that cannot be understood.
type usageError string

func (e usageError) Error() string { return string(e) + ", see server ctl --help" }

// runCtl runs server ctl, and returns its exit code.
func runCtl(args, environ []string, stdout, stderr io.Writer) int {
	call, err := parseCtl(args)
	if err == nil && call.help {
		_, _ = io.WriteString(stdout, ctlUsage)
		return 0
	}
	var c config
	if err == nil {
		c, err = loadConfig(call.flags, environ)
	}
	if info := (*settings.Info)(nil); errors.As(err, &info) {
		_, _ = io.WriteString(stdout, info.Text)
		return 0
	}
	if err == nil && c.isAction() {
		err = usageError("a flag asks the server itself to do something")
	}
	if err != nil {
		return settings.Report(err, "server ctl", stdout, stderr)
	}
	ctx, cancel := context.WithTimeout(signals.Context(), call.limit())
	defer cancel()
	central := &centralAt{folder: c.folder(), name: c.controlName(), patience: call.patience()}
	if err := call.do(ctx, central, stdout); err != nil {
		fmt.Fprintf(stderr, "server ctl: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	return 0
}

// isAction reports whether a flag asks for something other than serving.
func (c config) isAction() bool {
	return c.healthcheck || c.check || c.export != "" || c.output.winners || c.acta.verify != "" || c.importFrom.isGiven()
}

// ctlCall is a command line of ctl.
type ctlCall struct {
	command  string
	agencies []int
	deadline string
	json     bool
	help     bool
	flags    []string // that are the server's
}

// parseCtl separates ctl's words from the server's flags, which may stand before
// the command, after it, or within.
func parseCtl(args []string) (call ctlCall, err error) {
	var words []string
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "-h" || word == "--help":
			return ctlCall{help: true}, nil
		case word == "--json":
			call.json = true
		case strings.HasPrefix(word, "--"):
			call.flags = append(call.flags, word)
			// As for the server, the next word is its value, unless that is a flag.
			if !strings.Contains(word, "=") && i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") {
				i++
				call.flags = append(call.flags, args[i])
			}
		default:
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		if slices.Contains(call.flags, "--version") {
			return call, nil // which loadConfig prints
		}
		return call, usageError("no command is given: status, end, deadline or drain")
	}
	call.command, words = words[0], words[1:]
	switch call.command {
	case "status", "drain":
		if len(words) > 0 {
			return call, usageError(fmt.Sprintf("%s takes no argument, and %q is given", call.command, words[0]))
		}
	case "end":
		if len(words) == 0 {
			return call, usageError("end takes the numbers of agencies, and none is given")
		}
		for _, word := range words {
			agencies, err := parseAgencies(strings.TrimSuffix(word, ","))
			if err != nil {
				return call, usageError(fmt.Sprintf("end takes the numbers of agencies, and %q is given", word))
			}
			call.agencies = append(call.agencies, agencies...)
		}
	case "deadline":
		call.deadline = strings.Join(words, " ") // nobody has to quote date and time
		if _, err := parseTime(call.deadline); err != nil {
			return call, usageError(fmt.Sprintf("deadline takes %s, and %q is given", timeExample, call.deadline))
		}
	default:
		return call, usageError(fmt.Sprintf("%q is no command: status, end, deadline or drain", call.command))
	}
	return call, nil
}

func (call ctlCall) limit() time.Duration {
	if call.command == "drain" {
		return drainLimit
	}
	return ctlPatience
}

// patience bounds the wait for the beginning of the answer.
func (call ctlCall) patience() time.Duration {
	if call.command == "status" || call.command == "drain" {
		return promptPatience
	}
	return ctlPatience
}

// do sends the command to the central, and prints the answer.
func (call ctlCall) do(ctx context.Context, central *centralAt, stdout io.Writer) error {
	switch call.command {
	case "status":
		return ask(ctx, call, central, http.MethodGet, nil, stdout, printStatus)
	case "end":
		return ask(ctx, call, central, http.MethodPost, endRequest{call.agencies}, stdout, printEnd)
	case "deadline":
		return ask(ctx, call, central, http.MethodPost, deadlineRequest{call.deadline}, stdout, printDeadline)
	}
	return call.drain(ctx, central, stdout)
}

// ask sends a request, and prints the answer as JSON, or with print.
func ask[T any](ctx context.Context, call ctlCall, central *centralAt, method string, request any, stdout io.Writer, print func(io.Writer, *T)) error {
	body, err := central.ask(ctx, method, call.command, request)
	if err != nil {
		return err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the central has not answered to the end: %w", err)
	}
	if call.json {
		_, err = stdout.Write(text)
		return err
	}
	answer := new(T)
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("the answer cannot be read, is the central of another version? %w", err)
	}
	print(stdout, answer)
	return nil
}

// drain stops the central, and waits for its end.
func (call ctlCall) drain(ctx context.Context, central *centralAt, stdout io.Writer) error {
	body, err := central.ask(ctx, http.MethodPost, call.command, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	for told := false; ; told = true {
		var text json.RawMessage
		var answer drainAnswer
		if err := lines.Decode(&text); err != nil {
			return fmt.Errorf("the central was told to stop, and has gone without saying how: see the end of its log (%w)", err)
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return fmt.Errorf("the answer cannot be read, is the central of another version? %w", err)
		}
		switch {
		case call.json && answer.Ended: // printed below
		case call.json:
			fmt.Fprintf(stdout, "%s\n", text)
		case !answer.Ended && !told:
			fmt.Fprintln(stdout, "the central stops: it takes no more connections, and finishes what it has taken")
		case !answer.Ended:
			fmt.Fprintf(stdout, "in flight: %d connections, %d bytes of requests\n", answer.Connections, answer.Waiting)
		}
		if !answer.Ended {
			continue
		}
		// In a container the central is process 1, whose end kills all others.
		if central.peer.process != 1 {
			_, _ = io.Copy(io.Discard, body)
		}
		if call.json {
			fmt.Fprintf(stdout, "%s\n", text)
		} else if answer.ExitCode == 0 {
			fmt.Fprintln(stdout, "the central has ended, with exit code 0")
		}
		if answer.ExitCode != 0 {
			return fmt.Errorf("the central has ended with exit code %d: %s", answer.ExitCode, answer.Error)
		}
		return nil
	}
}

// centralAt is the central on a folder.
type centralAt struct {
	folder   string
	name     string        // of its socket
	patience time.Duration // for the beginning of an answer
	peer     peer          // the central's process; set by ask
}

// ask sends a request, and returns the answer. A refusal is an error.
func (c *centralAt) ask(ctx context.Context, method, command string, request any) (body io.ReadCloser, err error) {
	content := io.Reader(http.NoBody)
	if request != nil {
		text, err := json.Marshal(request)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	asked, err := http.NewRequestWithContext(ctx, method, "http://central/"+command, content)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DisableKeepAlives:     true,
		ResponseHeaderTimeout: c.patience,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dialControl(ctx, c.folder, c.name)
			if err != nil {
				return nil, err
			}
			c.peer = peerOf(conn)
			return conn, nil
		},
	}
	response, err := transport.RoundTrip(asked)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		var refused errorAnswer
		if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&refused); err != nil || refused.Error == "" {
			return nil, fmt.Errorf("the central answers %s: is it of another version?", response.Status)
		}
		return nil, errors.New(refused.Error)
	}
	return response.Body, nil
}

// unreachable says why nobody has answered.
func (c *centralAt) unreachable(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded): // as the transport's own limit is, too
		return fmt.Errorf("the central on %s has not answered within %v: it hangs or is suspended, or the machine is overloaded", c.folder, c.patience)
	case ctx.Err() != nil:
		return fmt.Errorf("the central on %s has not answered: %w", c.folder, ctx.Err())
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no central has %s: there is no %s in it (one that could not make it says so in its log, as control_listen)", c.folder, c.name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no central has %s: nobody answers on the %s in it, as when one was killed", c.folder, c.name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("user %d may not use %s in %s: %w: be the central's user, or root", os.Geteuid(), c.name, c.folder, bare(err))
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("no central has %s: it is no folder", c.folder)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("the central on %s has ended before it has answered: see the end of its log", c.folder)
	}
	return fmt.Errorf("the central on %s cannot be asked: %w", c.folder, bare(err))
}
