package natsledger

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"loteria/lottery"
)

// kind is what a message is.
type kind string

const (
	kindBets   kind = "bets"   // rows of one agency
	kindClaim  kind = "claim"  // a central takes the agency over
	kindClosed kind = "closed" // the agency's betting has ended
	kindEnded  kind = "ended"  // the notice of that, on a subject that every central follows
)

// The headers of a message of an agency, beside those that JetStream compares.
const (
	headerID      = "Id"      // of the message, unique: it tells whose message was stored
	headerKind    = "Kind"    //
	headerBefore  = "Before"  // bets of the agency in the messages before
	headerBets    = "Bets"    // in this one
	headerDigest  = "Digest"  // base64 of the state of XXH64 after this one
	headerWinners = "Winners" // documents of this one's bets that have won, with commas
	headerEnded   = "Ended"   // how, of closed and ended
	headerResumed = "Resumed" // the agency has said RESUME
	headerCentral = "Central" // the name of the central that has published it
)

// message is one link of an agency's chain, or the notice of its end.
type message struct {
	id       string
	kind     kind
	expected uint64        // sequence number of the message of the subject before it, or 0
	before   uint64        // bets of the agency in the messages before
	bets     int           // in this one
	digest   xxhash.Digest // of the agency's rows, with these
	winners  []string
	ended    lottery.Ending
	resumed  bool
	central  string
	rows     []byte
}

// after returns how many bets of the agency there are, with these.
func (m *message) after() uint64 { return m.before + uint64(m.bets) }

// markOf returns the mark after the rows with that digest. It is the same at every
// central.
func markOf(digest *xxhash.Digest) lottery.Mark { return lottery.Mark(max(digest.Sum64(), 1)) }

// account returns the account after the message. The winners are not in it.
func (m *message) account() lottery.Account {
	return lottery.Account{Bets: m.after(), Digest: m.digest, Ended: m.ended, Mark: markOf(&m.digest), Resumed: m.resumed}
}

var endingNames = map[lottery.Ending]string{lottery.Finished: "finished", lottery.Missing: "missing"}

// encode returns the message as it is published. The digest's state is
// https://pkg.go.dev/github.com/cespare/xxhash/v2#Digest.MarshalBinary.
func (m *message) encode(subject, stream string) *nats.Msg {
	state, _ := m.digest.MarshalBinary() // never fails
	msg := &nats.Msg{Subject: subject, Data: m.rows, Header: nats.Header{
		jetstream.ExpectedStreamHeader:      {stream},
		jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(m.expected, 10)},
		headerID:                            {m.id},
		headerKind:                          {string(m.kind)},
		headerBefore:                        {strconv.FormatUint(m.before, 10)},
		headerBets:                          {strconv.Itoa(m.bets)},
		headerDigest:                        {base64.StdEncoding.EncodeToString(state)},
	}}
	for name, value := range map[string]string{
		headerWinners: strings.Join(m.winners, ","),
		headerEnded:   endingNames[m.ended],
		headerCentral: m.central,
	} {
		if value != "" {
			msg.Header[name] = []string{value}
		}
	}
	if m.resumed {
		msg.Header[headerResumed] = []string{"true"}
	}
	return msg
}

// headerError says which header of a message is not as a central writes it.
type headerError struct{ name, value, want string }

func (e *headerError) Error() string {
	return fmt.Sprintf("the header %s is %.40q, expected %s", e.name, e.value, e.want)
}

// decode reads a message that is stored. An error, a *headerError, says which
// header is wrong: then somebody else has written to the stream.
func decode(header nats.Header, rows []byte) (*message, error) {
	value := func(name string) string { // as it was written: nats.Header's own Get does not change names
		if values := header[name]; len(values) > 0 {
			return values[0]
		}
		return ""
	}
	wrong := func(name, want string) error {
		return &headerError{name, value(name), want}
	}
	m := &message{id: value(headerID), kind: kind(value(headerKind)), resumed: value(headerResumed) == "true", central: value(headerCentral), rows: rows}
	switch m.kind {
	case kindBets, kindClaim, kindClosed, kindEnded:
	default:
		return nil, wrong(headerKind, "bets, claim, closed or ended")
	}
	if m.id == "" {
		return nil, wrong(headerID, "an id")
	}
	var err error
	if m.expected, err = strconv.ParseUint(value(jetstream.ExpectedLastSubjSeqHeader), 10, 64); err != nil {
		return nil, wrong(jetstream.ExpectedLastSubjSeqHeader, "a sequence number")
	}
	if m.before, err = strconv.ParseUint(value(headerBefore), 10, 63); err != nil {
		return nil, wrong(headerBefore, "a number of bets")
	}
	bets, err := strconv.ParseUint(value(headerBets), 10, 31)
	if err != nil {
		return nil, wrong(headerBets, "a number of bets")
	}
	m.bets = int(bets)
	state, err := base64.StdEncoding.DecodeString(value(headerDigest))
	if err != nil || m.digest.UnmarshalBinary(state) != nil {
		return nil, wrong(headerDigest, "the state of XXH64 in base64")
	}
	if text := value(headerWinners); text != "" {
		m.winners = strings.Split(text, ",")
	}
	if text := value(headerEnded); text != "" || m.kind == kindClosed || m.kind == kindEnded {
		for how, name := range endingNames {
			if name == text {
				m.ended = how
			}
		}
		if m.ended == lottery.Open {
			return nil, wrong(headerEnded, "finished or missing")
		}
	}
	return m, nil
}

// streamName returns the name of a contest's stream, which is also the first token
// of its subjects: a contest's name may have a dot, a stream's may not
// (https://docs.nats.io/nats-concepts/jetstream/streams).
func streamName(contest string) string {
	name := []byte("loteria")
	if contest != "" {
		name = append(name, '-')
	}
	for _, c := range []byte(contest) {
		if c == '.' || c == '_' {
			name = fmt.Appendf(name, "_%02x", c)
		} else {
			name = append(name, c)
		}
	}
	return string(name)
}

// The subjects of a stream.
func betsSubject(stream string, agency int) string  { return stream + ".bets." + strconv.Itoa(agency) }
func endedSubject(stream string, agency int) string { return stream + ".ended." + strconv.Itoa(agency) }
func drawSubject(stream string) string              { return stream + ".draw" }
func deadlineSubject(stream string) string          { return stream + ".deadline" }
