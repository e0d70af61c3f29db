package codec

import (
	"unsafe"

	"loteria/lottery"
)

// BatchReader reads the payload of a BATCH bet by bet and allocates nothing. Call
// Reset first.
type BatchReader struct {
	reader
	count, read uint32
}

// Reset starts on a payload. Its error, like Next's, is a *lottery.Refusal with
// code BadFrame.
func (b *BatchReader) Reset(payload []byte) error {
	// A view, not a copy: the payload is not written to while it is read.
	return b.reset(unsafe.String(unsafe.SliceData(payload), len(payload)))
}

func (b *BatchReader) reset(payload string) error {
	*b = BatchReader{reader: reader{payload: payload}}
	b.count = b.uint32("the count of bets")
	if b.err == nil && uint64(b.count) > uint64(len(b.payload))/(4+minRawBet) {
		b.err = broken(BadFrame, "the count is %d bets, the payload has %d more bytes", b.count, len(b.payload))
	}
	return b.err
}

// Len returns the number of bets that the batch announces.
func (b *BatchReader) Len() int { return int(b.count) }

// Next reads the next bet; more is false when there is none. It does not check that
// texts are UTF-8: package lottery does, as that is a fault of one bet only. The
// texts share the payload's memory and are valid only as long as it is.
func (b *BatchReader) Next(raw *lottery.RawBet) (more bool, err error) {
	if b.err != nil || b.read == b.count {
		return false, b.err
	}
	b.read++
	if rest, ok := cutRawBet(b.payload, raw); ok {
		b.payload = rest
		return true, nil
	}
	bet := reader{payload: b.take(b.uint32("a bet's length"), "a bet")}
	if b.err == nil {
		bet.raw(raw)
		b.err = bet.end()
	}
	return b.err == nil, b.err
}

// Position reads what may follow the last bet: how many bets of the agency
// come before the batch.
func (b *BatchReader) Position() (position uint64, found bool, err error) {
	position, found = b.optionalUint64("the position")
	return position, found, b.end()
}

// cutRawBet cuts the first bet, with its length, off the payload. It is the fast
// path: when ok is false, reader reads the bet or says what is wrong with it.
func cutRawBet(payload string, raw *lottery.RawBet) (rest string, ok bool) {
	if len(payload) < 4 {
		return "", false
	}
	size := uint64(payload[0])<<24 | uint64(payload[1])<<16 | uint64(payload[2])<<8 | uint64(payload[3])
	if payload = payload[4:]; size > uint64(len(payload)) {
		return "", false
	}
	texts, rest := payload[:size], payload[size:]
	if raw.Agency, texts, ok = cutText(texts); !ok {
		return "", false
	}
	if raw.FirstName, texts, ok = cutText(texts); !ok {
		return "", false
	}
	if raw.LastName, texts, ok = cutText(texts); !ok {
		return "", false
	}
	if raw.Document, texts, ok = cutText(texts); !ok {
		return "", false
	}
	if raw.Birthdate, texts, ok = cutText(texts); !ok {
		return "", false
	}
	if raw.Number, texts, ok = cutText(texts); !ok || texts != "" {
		return "", false
	}
	return rest, true
}

// cutText cuts a text, with its length, off what is left of a bet.
func cutText(bet string) (text, rest string, ok bool) {
	if len(bet) < 2 {
		return "", "", false
	}
	end := 2 + (int(bet[0])<<8 | int(bet[1]))
	if end > len(bet) {
		return "", "", false
	}
	return bet[2:end], bet[end:], true
}
