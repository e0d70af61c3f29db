package codec

import "encoding/binary"

// Decode implements Message.
func (m *Winners) Decode(payload []byte) (err error) {
	m.Documents, err = decodeDocuments(payload, m.Documents[:0])
	return err
}

func (m *Winners) appendPayload(dst []byte) []byte { return appendDocuments(dst, m.Documents) }

// Decode implements Message.
func (m *WinnersPart) Decode(payload []byte) (err error) {
	m.Documents, err = decodeDocuments(payload, m.Documents[:0])
	return err
}

func (m *WinnersPart) appendPayload(dst []byte) []byte { return appendDocuments(dst, m.Documents) }

// AppendWinners appends the answer to a WINNERS_QUERY to dst: one WINNERS
// frame, after as many WINNERS_PART frames as it takes when the documents do
// not fit in one. A document has at most lottery.MaxDocument bytes.
func AppendWinners(dst []byte, documents []string) ([]byte, error) {
	for {
		fit := documentsThatFit(documents)
		part := documents[:fit]
		if fit == len(documents) {
			return AppendFrame(dst, &Winners{Documents: part})
		}
		var err error
		if dst, err = AppendFrame(dst, &WinnersPart{Documents: part}); err != nil {
			return dst, err
		}
		documents = documents[fit:]
	}
}

// documentsThatFit returns how many of the first documents fit one frame, at
// least one.
func documentsThatFit(documents []string) int {
	size := overhead + 4
	for i, d := range documents {
		size += 2 + len(d)
		if size > MaxFrame {
			return max(i, 1)
		}
	}
	return len(documents)
}

func decodeDocuments(payload []byte, documents []string) ([]string, error) {
	r := reader{payload: string(payload)}
	count := r.uint32("the count of documents")
	if r.err == nil && uint64(count) > uint64(len(r.payload))/2 {
		return documents, broken(BadFrame, "the count is %d documents, the payload has %d more bytes", count, len(r.payload))
	}
	for range count {
		documents = append(documents, r.text("a document"))
	}
	return documents, r.end()
}

func appendDocuments(dst []byte, documents []string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(documents)))
	for _, d := range documents {
		dst = appendText(dst, d)
	}
	return dst
}
