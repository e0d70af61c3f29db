package agency

import (
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"loteria/codec"
	"loteria/lottery"
)

// ErrStopped is what Run returns when its context ended before its work did.
var ErrStopped = errors.New("the agency was stopped before it was done")

// failure is what ends a run: an error, and the log action that failed.
type failure struct {
	action  string
	details func(*zerolog.Event) // more for the log line, or nil
	err     error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(action string, err error) error {
	return &failure{action: action, err: err}
}

// lostError says that the connection was lost before the answer came.
type lostError struct {
	address string
	err     error
}

func (e *lostError) Error() string {
	return "the connection to the central " + e.address + " was lost: " + e.err.Error()
}
func (e *lostError) Unwrap() error { return e.err }

// isLost reports whether the agency must connect again: the connection was lost,
// another one is the agency's writer now, or the central can store no more and ends,
// to be restarted.
func isLost(err error) bool {
	var lost *lostError
	return errors.As(err, &lost) || errors.Is(err, lottery.Fenced) || errors.Is(err, lottery.Storage)
}

// LateError says that the central takes nothing more from the agency, which has
// finished or was declared missing, or comes after the draw. The agency has asked
// for its winners all the same.
type LateError struct {
	Refusal error // why the central takes nothing more
	Winners int   // how many there are
	Err     error // why that is not known, or nil
}

func (e *LateError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%v; and its winners are not known: %v", e.Refusal, e.Err)
	}
	return fmt.Sprintf("%v; its winners, of the bets that the central has, are known: %d", e.Refusal, e.Winners)
}

func (e *LateError) Unwrap() []error {
	if e.Err != nil {
		return []error{e.Refusal, e.Err}
	}
	return []error{e.Refusal}
}

func isLate(err error) bool {
	return errors.Is(err, lottery.DrawDone) || errors.Is(err, lottery.AgencyFinished)
}

// retryError says that the central answered RETRY: nothing was done.
type retryError struct{ reason string }

func (e *retryError) Error() string {
	return fmt.Sprintf("the central asks to try again later: %.100q", e.reason)
}

// refusedError is the central's ERROR to a request. errors.Is finds its code.
type refusedError struct {
	request string // what was refused
	answer  codec.Error
}

func (e *refusedError) Error() string {
	code := "without a code"
	if e.answer.Code != "" {
		code = fmt.Sprintf("%.40s", e.answer.Code)
	}
	text := fmt.Sprintf("the central refused %s: %s", e.request, code)
	if e.answer.Document != "" || e.answer.Number != "" {
		text += fmt.Sprintf(" (document %.40q, number %.40q)", e.answer.Document, e.answer.Number)
	}
	if meaning := meanings[e.answer.Code]; meaning != "" {
		text += ": " + meaning
	}
	return text
}

// meanings are of codes that say nothing to an agency's operator.
var meanings = map[lottery.Code]string{
	lottery.Fenced:         "another process speaks for this agency",
	lottery.OtherBets:      "it has stored other bets of this agency",
	lottery.DrawDone:       "the draw is done, and no bets are taken any more",
	lottery.AgencyFinished: "the agency has finished already, or was declared missing",
	lottery.Storage:        "it can store nothing any more, see its log",
}

func (e *refusedError) Unwrap() error { return e.answer.Code }

// unexpected says that an answer does not fit the request.
func unexpected(request string, answer codec.Type) error {
	return fmt.Errorf("the central answered %v to %s", answer, request)
}
