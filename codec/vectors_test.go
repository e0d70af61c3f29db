package codec

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"loteria/lottery"
)

// vector is one entry of testdata/vectors.txt, which explains the format.
type vector struct {
	name       string
	from       string
	stream     []byte
	messages   []Message
	err        lottery.Code // of what follows the messages
	unfinished int          // bytes that follow them
	encode     string
}

// newMessage returns an empty message of a type, or nil.
func newMessage(t Type) Message {
	switch t {
	case TypeBet:
		return new(Bet)
	case TypeBatch:
		return new(Batch)
	case TypeSuccess:
		return new(Success)
	case TypeError:
		return new(Error)
	case TypeFinished:
		return new(Finished)
	case TypeWinnersQuery:
		return new(WinnersQuery)
	case TypeWinners:
		return new(Winners)
	case TypeRetry:
		return new(Retry)
	case TypeResume:
		return new(Resume)
	case TypeResumePoint:
		return new(ResumePoint)
	case TypeWinnersPart:
		return new(WinnersPart)
	}
	return nil
}

func allTypes() []Type {
	var types []Type
	for t := TypeBet; newMessage(t) != nil; t++ {
		types = append(types, t)
	}
	return types
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	content, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	names := map[string]bool{}
	for entry := range strings.SplitSeq(string(content), "\n\n") {
		var v vector
		for line := range strings.Lines(entry) {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			if err := v.read(line); err != nil {
				t.Fatalf("vector %q: %q: %v", v.name, line, err)
			}
		}
		if v.name == "" {
			continue
		}
		if names[v.name] {
			t.Fatalf("two vectors are named %q", v.name)
		}
		names[v.name] = true
		vectors = append(vectors, v)
	}
	return vectors
}

func (v *vector) read(line string) (err error) {
	key, value, found := strings.Cut(line, ":")
	if !found {
		return errors.New("no colon")
	}
	value = strings.TrimSpace(value)
	switch key {
	case "name":
		v.name = value
	case "means":
	case "from":
		v.from = value
	case "hex":
		v.stream, err = appendHex(v.stream, value)
	case "message":
		for t, name := range typeNames {
			if name == value && name != "" {
				v.messages = append(v.messages, newMessage(Type(t)))
				return nil
			}
		}
		return errors.New("no such message")
	case "error":
		v.err = lottery.Code(value)
	case "unfinished":
		v.unfinished, err = strconv.Atoi(value)
	case "encode":
		v.encode = value
	default:
		if len(v.messages) == 0 {
			return errors.New("no such key")
		}
		return setField(v.messages[len(v.messages)-1], key, value)
	}
	return err
}

func appendHex(dst []byte, value string) ([]byte, error) {
	value, _, _ = strings.Cut(value, "#")
	for field := range strings.FieldsSeq(value) {
		digits, times, repeated := strings.Cut(field, "*")
		b, err := hex.DecodeString(digits)
		if err != nil {
			return dst, err
		}
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil {
				return dst, err
			}
		}
		dst = append(dst, strings.Repeat(string(b), n)...)
	}
	return dst, nil
}

// readTexts reads texts in quotes, each perhaps with *N after it.
func readTexts(value string) (texts []string, err error) {
	for value != "" {
		quoted, err := strconv.QuotedPrefix(value)
		if err != nil {
			return nil, err
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		times, rest, _ := strings.Cut(value[len(quoted):], " ")
		if times != "" {
			n, err := strconv.Atoi(strings.TrimPrefix(times, "*"))
			if err != nil {
				return nil, err
			}
			text = strings.Repeat(text, n)
		}
		texts, value = append(texts, text), rest
	}
	return texts, nil
}

func setField(m Message, key, value string) error {
	field := fmt.Sprintf("%v %s", m.Type(), key)
	switch field {
	case "SUCCESS finished":
		m.(*Success).Finished = value == "yes"
		return nil
	case "BATCH position", "FINISHED total", "FINISHED digest", "RESUME_POINT count", "RESUME_POINT digest":
		n, err := strconv.ParseUint(value, 0, 64)
		switch m := m.(type) {
		case *Batch:
			m.Position, m.HasPosition = n, true
		case *Finished:
			if key == "total" {
				m.Total, m.HasTotal = n, true
			} else {
				m.Digest, m.HasDigest = n, true
			}
		case *ResumePoint:
			if key == "count" {
				m.Count = n
			} else {
				m.Digest = n
			}
		}
		return err
	}
	texts, err := readTexts(value)
	if err != nil {
		return err
	}
	switch field {
	case "WINNERS documents":
		m.(*Winners).Documents = texts
		return nil
	case "WINNERS_PART documents":
		m.(*WinnersPart).Documents = texts
		return nil
	case "BET bet", "BATCH bet":
		if len(texts) != 6 {
			return errors.New("a bet has six texts")
		}
		raw := lottery.RawBet{
			Agency: texts[0], FirstName: texts[1], LastName: texts[2],
			Document: texts[3], Birthdate: texts[4], Number: texts[5],
		}
		if b, ok := m.(*Batch); ok {
			b.RawBets = append(b.RawBets, raw)
		} else {
			m.(*Bet).RawBet = raw
		}
		return nil
	}
	if len(texts) != 1 {
		return errors.New("not one text")
	}
	switch m := m.(type) {
	case *Success:
		return set(map[string]*string{"document": &m.Document, "number": &m.Number}, key, texts[0])
	case *Error:
		return set(map[string]*string{"document": &m.Document, "number": &m.Number, "code": (*string)(&m.Code)}, key, texts[0])
	case *Finished:
		return set(map[string]*string{"agency": &m.Agency}, key, texts[0])
	case *WinnersQuery:
		return set(map[string]*string{"agency": &m.Agency}, key, texts[0])
	case *Retry:
		return set(map[string]*string{"reason": &m.Reason}, key, texts[0])
	case *Resume:
		return set(map[string]*string{"agency": &m.Agency}, key, texts[0])
	}
	return errors.New("no such field")
}

func set(fields map[string]*string, key, value string) error {
	if fields[key] == nil {
		return errors.New("no such field")
	}
	*fields[key] = value
	return nil
}

// outcome is what a reader finds in a stream.
type outcome struct {
	messages   []Message
	err        lottery.Code
	unfinished int
}

// read decodes a stream that comes in pieces.
func read(t testing.TB, pieces ...[]byte) (o outcome) {
	t.Helper()
	var d Decoder
	for _, piece := range pieces {
		for len(piece) > 0 {
			frame, rest, ok, err := d.Next(piece)
			if err == nil && ok {
				m := newMessage(frame.Type)
				if err = m.Decode(frame.Payload); err == nil {
					o.messages = append(o.messages, m)
				}
			}
			if err != nil {
				o.err = refusalCode(t, err)
				return o
			}
			checkProgress(t, piece, rest, ok)
			piece = rest
		}
	}
	o.unfinished = d.Buffered()
	return o
}

// checkProgress checks that Next has taken a part of src, or all of it where
// no frame came of it.
func checkProgress(t testing.TB, src, rest []byte, ok bool) {
	t.Helper()
	if len(rest) >= len(src) || !ok && len(rest) > 0 {
		t.Fatalf("of %d bytes %d are left, and there is a frame: %t", len(src), len(rest), ok)
	}
}

// refusalCode returns the code of what must be a *lottery.Refusal with a code
// of this package.
func refusalCode(t testing.TB, err error) lottery.Code {
	t.Helper()
	var refusal *lottery.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("the error %v is no refusal", err)
	}
	if c := refusal.Code; c != BadFrame && c != TooLong && c != UnknownType {
		t.Fatalf("the error %v has the code %q, none of this package", err, c)
	}
	if refusal.Reason == "" {
		t.Fatalf("the error %v gives no reason", err)
	}
	return refusal.Code
}

func (v *vector) outcome() outcome { return outcome{v.messages, v.err, v.unfinished} }

func checkOutcome(t *testing.T, got, want outcome) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("read %s\nwant %s", got, want)
	}
}

func (o outcome) String() string {
	var s strings.Builder
	for _, m := range o.messages {
		fmt.Fprintf(&s, "%v %.300q, ", m.Type(), fmt.Sprintf("%+v", m))
	}
	fmt.Fprintf(&s, "error %q, unfinished %d", o.err, o.unfinished)
	return s.String()
}

func TestVectorsDecode(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			checkOutcome(t, read(t, v.stream), v.outcome())
		})
	}
}

func TestVectorsEncode(t *testing.T) {
	for _, v := range loadVectors(t) {
		if len(v.messages) == 0 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			var stream []byte
			for _, m := range v.messages {
				var err error
				stream, err = AppendFrame(stream, m)
				if v.encode == "too_long" {
					if !errors.Is(err, TooLong) {
						t.Fatalf("the frame was encoded with error %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			whole := v.stream
			if v.err != "" || v.unfinished > 0 { // something follows the messages
				whole = whole[:min(len(whole), len(stream))]
			}
			if same := string(stream) == string(whole); same == (v.encode == "differs") {
				t.Fatalf("encoded  %X\nthere is %X, encode: %q", stream, whole, v.encode)
			}
			checkOutcome(t, read(t, stream), outcome{messages: v.messages})
		})
	}
}

// TestVectorsInPieces is the "frames cut at every byte boundary".
func TestVectorsInPieces(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			for cut := 0; cut <= len(v.stream); cut++ {
				checkOutcome(t, read(t, v.stream[:cut], v.stream[cut:]), v.outcome())
			}
			single := make([][]byte, len(v.stream))
			for i := range single {
				single[i] = v.stream[i : i+1]
			}
			checkOutcome(t, read(t, single...), v.outcome())
		})
	}
}

// TestVectorsCover checks that the vectors leave no message and no code out.
func TestVectorsCover(t *testing.T) {
	senders := map[Type]string{
		TypeBet: "agency", TypeBatch: "agency", TypeFinished: "agency", TypeWinnersQuery: "agency", TypeResume: "agency",
		TypeSuccess: "central", TypeError: "central", TypeWinners: "central", TypeRetry: "central",
		TypeResumePoint: "central", TypeWinnersPart: "central",
	}
	valid, broken, codes := map[Type]bool{}, map[Type]bool{}, map[lottery.Code]bool{}
	for _, v := range loadVectors(t) {
		for _, m := range v.messages {
			valid[m.Type()] = true
			if senders[m.Type()] != v.from {
				t.Errorf("%s: a %v is sent by the %s, not by the %s", v.name, m.Type(), senders[m.Type()], v.from)
			}
		}
		codes[v.err] = true
		if v.err == BadFrame && len(v.messages) == 0 && len(v.stream) >= headerSize {
			broken[Type(v.stream[4])] = true
		}
	}
	for _, typ := range allTypes() {
		if !valid[typ] || !broken[typ] {
			t.Errorf("%v: has a valid vector: %t, a broken one: %t", typ, valid[typ], broken[typ])
		}
	}
	for _, code := range []lottery.Code{BadFrame, TooLong, UnknownType} {
		if !codes[code] {
			t.Errorf("no vector for %s", code)
		}
	}
	if n := len(allTypes()); n != 11 {
		t.Errorf("%d types, the protocol has 11", n)
	}
}
