package lottery

import "fmt"

// Code is the protocol's name for a reason to refuse something. It is an
// error, so that errors.Is(err, lottery.BadName) works on whatever wraps it.
type Code string

// The codes that the rules of the lottery give. Those of the frame's form are
// in package codec, and the connection's own in package reactor.
const (
	BadAgency      Code = "bad_agency"      // not a positive integer
	UnknownAgency  Code = "unknown_agency"  // not one of the expected agencies
	WrongAgency    Code = "wrong_agency"    // not the agency that the batch or connection speaks for
	BadName        Code = "bad_name"        // empty, too long, not UTF-8, or with control characters
	BadDocument    Code = "bad_document"    // not 1 to 10 ASCII digits
	BadBirthdate   Code = "bad_birthdate"   // not a date that exists
	BadNumber      Code = "bad_number"      // not 0 to 9999
	EmptyBatch     Code = "empty_batch"     // a batch without a bet
	Gap            Code = "gap"             // a position beyond what is stored
	Fenced         Code = "fenced"          // from a connection that is not the agency's writer: RESUME makes it that
	AgencyFinished Code = "agency_finished" // a bet after FINISHED
	DrawDone       Code = "draw_done"       // a bet after the draw
	Incomplete     Code = "incomplete"      // FINISHED with another total than is stored
	OtherBets      Code = "other_bets"      // FINISHED with another digest than that of the bets stored
	Storage        Code = "storage"         // the ledger failed
)

// Codes returns the codes of the lottery's rules.
func Codes() []Code {
	return []Code{
		BadAgency, UnknownAgency, WrongAgency, BadName, BadDocument, BadBirthdate, BadNumber,
		EmptyBatch, Gap, Fenced, AgencyFinished, DrawDone, Incomplete, OtherBets, Storage,
	}
}

// Error returns the code as it goes over the wire.
func (c Code) Error() string { return string(c) }

// Refusal says why something was refused: the code for programs, the reason
// for people, and the bet where it was one bet's fault.
type Refusal struct {
	Code   Code
	Reason string
	// Document and Number are those of the offending bet as it was written,
	// or empty where no single bet is at fault.
	Document, Number string
}

// Error returns the code and the reason.
func (r *Refusal) Error() string { return string(r.Code) + ": " + r.Reason }

// Unwrap returns the code, for errors.Is.
func (r *Refusal) Unwrap() error { return r.Code }

func refuse(code Code, format string, args ...any) error {
	return &Refusal{Code: code, Reason: fmt.Sprintf(format, args...)}
}
