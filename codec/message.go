package codec

import (
	"encoding/binary"

	"loteria/lottery"
)

// Message is one row of the protocol's table.
type Message interface {
	// Type returns the message's type on the wire.
	Type() Type
	// Decode sets the message from the payload, and keeps nothing of its memory.
	// The error is a *lottery.Refusal; the message is then unspecified.
	Decode(payload []byte) error

	appendPayload(dst []byte) []byte
}

// Bet is a single bet, sent by an agency.
type Bet struct{ RawBet lottery.RawBet }

// Batch is several bets, sent by an agency. Decode reuses the slice's memory.
type Batch struct {
	RawBets     []lottery.RawBet
	Position    uint64 // how many bets of the agency come before the batch
	HasPosition bool
}

// Success acknowledges a BET or BATCH with the document and number of its
// first bet, or a FINISHED.
type Success struct {
	Document, Number string
	Finished         bool // it answers a FINISHED, and has no bet
}

// Error refuses a request. Document and Number are those of the offending bet,
// or empty. Existing centrals leave out the code.
type Error struct {
	Document, Number string
	Code             lottery.Code
}

// Finished says that the agency has no more bets.
type Finished struct {
	Agency    string
	Total     uint64 // how many it has sent
	Digest    uint64 // of their rows: XXH64 with seed 0, in order
	HasTotal  bool
	HasDigest bool // only with a total
}

// WinnersQuery asks for the agency's winners.
type WinnersQuery struct{ Agency string }

// Winners answers a WinnersQuery with the documents that won, or with the last
// of them.
type Winners struct{ Documents []string }

// WinnersPart is like Winners, but more documents follow in the next frame.
type WinnersPart struct{ Documents []string }

// Retry says that nothing was done and that the request may be sent again.
type Retry struct{ Reason string }

// Resume asks how many bets of the agency are stored.
type Resume struct{ Agency string }

// ResumePoint answers a Resume.
type ResumePoint struct {
	Count  uint64 // bets of the agency that are on disk
	Digest uint64 // XXH64, seed 0, of their rows in bets.csv
}

// Type returns TypeBet.
func (*Bet) Type() Type { return TypeBet }

// Type returns TypeBatch.
func (*Batch) Type() Type { return TypeBatch }

// Type returns TypeSuccess.
func (*Success) Type() Type { return TypeSuccess }

// Type returns TypeError.
func (*Error) Type() Type { return TypeError }

// Type returns TypeFinished.
func (*Finished) Type() Type { return TypeFinished }

// Type returns TypeWinnersQuery.
func (*WinnersQuery) Type() Type { return TypeWinnersQuery }

// Type returns TypeWinners.
func (*Winners) Type() Type { return TypeWinners }

// Type returns TypeWinnersPart.
func (*WinnersPart) Type() Type { return TypeWinnersPart }

// Type returns TypeRetry.
func (*Retry) Type() Type { return TypeRetry }

// Type returns TypeResume.
func (*Resume) Type() Type { return TypeResume }

// Type returns TypeResumePoint.
func (*ResumePoint) Type() Type { return TypeResumePoint }

// Decode implements Message.
func (m *Bet) Decode(payload []byte) error {
	r := reader{payload: string(payload)}
	r.raw(&m.RawBet)
	return r.end()
}

func (m *Bet) appendPayload(dst []byte) []byte { return appendRawBet(dst, &m.RawBet) }

// minRawBet is the size in bytes of a bet whose six texts are empty.
const minRawBet = 6 * 2

// Decode implements Message. All texts of a batch share one allocation.
func (m *Batch) Decode(payload []byte) error {
	var r BatchReader
	if err := r.reset(string(payload)); err != nil {
		return err
	}
	m.RawBets = m.RawBets[:0]
	for range r.Len() {
		m.RawBets = append(m.RawBets, lottery.RawBet{})
		if _, err := r.Next(&m.RawBets[len(m.RawBets)-1]); err != nil {
			return err
		}
	}
	var err error
	m.Position, m.HasPosition, err = r.Position()
	return err
}

func (m *Batch) appendPayload(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(m.RawBets)))
	for i := range m.RawBets {
		dst = binary.BigEndian.AppendUint32(dst, uint32(rawBetSize(&m.RawBets[i])))
		dst = appendRawBet(dst, &m.RawBets[i])
	}
	if m.HasPosition {
		dst = binary.BigEndian.AppendUint64(dst, m.Position)
	}
	return dst
}

// EmptyBatchSize is the size in bytes of the frame of a batch that has a
// position and no bets. Each bet adds its BatchedSize.
const EmptyBatchSize = overhead + 4 + 8

// BatchedSize returns how many bytes the bet adds to a batch's frame.
func BatchedSize(raw *lottery.RawBet) int { return 4 + rawBetSize(raw) }

func rawBetSize(s *lottery.RawBet) int {
	return minRawBet + len(s.Agency) + len(s.FirstName) + len(s.LastName) + len(s.Document) + len(s.Birthdate) + len(s.Number)
}

func appendRawBet(dst []byte, s *lottery.RawBet) []byte {
	dst = appendText(dst, s.Agency)
	dst = appendText(dst, s.FirstName)
	dst = appendText(dst, s.LastName)
	dst = appendText(dst, s.Document)
	dst = appendText(dst, s.Birthdate)
	return appendText(dst, s.Number)
}

func (r *reader) raw(s *lottery.RawBet) {
	s.Agency = r.bytes("the agency")
	s.FirstName = r.bytes("the first name")
	s.LastName = r.bytes("the last name")
	s.Document = r.bytes("the document")
	s.Birthdate = r.bytes("the birthdate")
	s.Number = r.bytes("the number")
}

// finishedText is what SUCCESS says to a FINISHED.
const finishedText = "OK"

// Decode implements Message.
func (m *Success) Decode(payload []byte) error {
	r := reader{payload: string(payload)}
	*m = Success{Document: r.text("the document")}
	if r.err == nil && len(r.payload) == 0 {
		*m = Success{Finished: true}
		return nil
	}
	m.Number = r.text("the number")
	return r.end()
}

func (m *Success) appendPayload(dst []byte) []byte {
	if m.Finished {
		return appendText(dst, finishedText)
	}
	return appendText(appendText(dst, m.Document), m.Number)
}

// Decode implements Message.
func (m *Error) Decode(payload []byte) error {
	r := reader{payload: string(payload)}
	m.Document, m.Number, m.Code = r.text("the document"), r.text("the number"), ""
	if len(r.payload) > 0 {
		m.Code = lottery.Code(r.text("the code"))
	}
	return r.end()
}

func (m *Error) appendPayload(dst []byte) []byte {
	return appendText(appendText(appendText(dst, m.Document), m.Number), string(m.Code))
}

// Decode implements Message.
func (m *Finished) Decode(payload []byte) error {
	r := reader{payload: string(payload)}
	m.Agency = r.text("the agency")
	m.Total, m.HasTotal = r.optionalUint64("the total")
	m.Digest, m.HasDigest = r.optionalUint64("the digest")
	return r.end()
}

func (m *Finished) appendPayload(dst []byte) []byte {
	dst = appendText(dst, m.Agency)
	if m.HasTotal {
		dst = binary.BigEndian.AppendUint64(dst, m.Total)
		if m.HasDigest {
			dst = binary.BigEndian.AppendUint64(dst, m.Digest)
		}
	}
	return dst
}

// Decode implements Message.
func (m *WinnersQuery) Decode(payload []byte) (err error) {
	m.Agency, err = decodeText(payload, "the agency")
	return err
}

func (m *WinnersQuery) appendPayload(dst []byte) []byte { return appendText(dst, m.Agency) }

// Decode implements Message.
func (m *Retry) Decode(payload []byte) (err error) {
	m.Reason, err = decodeText(payload, "the reason")
	return err
}

func (m *Retry) appendPayload(dst []byte) []byte { return appendText(dst, m.Reason) }

// Decode implements Message.
func (m *Resume) Decode(payload []byte) (err error) {
	m.Agency, err = decodeText(payload, "the agency")
	return err
}

func (m *Resume) appendPayload(dst []byte) []byte { return appendText(dst, m.Agency) }

func decodeText(payload []byte, what string) (string, error) {
	r := reader{payload: string(payload)}
	s := r.text(what)
	return s, r.end()
}

// Decode implements Message.
func (m *ResumePoint) Decode(payload []byte) error {
	r := reader{payload: string(payload)}
	m.Count, m.Digest = r.uint64("the count"), r.uint64("the digest")
	return r.end()
}

func (m *ResumePoint) appendPayload(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, m.Count), m.Digest)
}
