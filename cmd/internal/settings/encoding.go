package settings

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

const saveAsUTF8 = "; save the file as UTF-8"

// decodeText returns a file's text without a byte order mark, and with LF at the
// end of each line. UTF-16 needs a mark, as editors and shells of Windows write it.
// Text without one stays as it is: UTF-8, but with anything in comments and paths.
func decodeText(raw []byte) ([]byte, error) {
	for _, mark := range []string{"\xff\xfe\x00\x00", "\x00\x00\xfe\xff"} {
		if bytes.HasPrefix(raw, []byte(mark)) {
			return nil, errors.New("is UTF-32 text" + saveAsUTF8)
		}
	}
	text, err := bytes.TrimPrefix(raw, []byte("\ufeff")), error(nil)
	if units, found := bytes.CutPrefix(raw, []byte("\xff\xfe")); found {
		text, err = fromUTF16(units, binary.LittleEndian)
	} else if units, found := bytes.CutPrefix(raw, []byte("\xfe\xff")); found {
		text, err = fromUTF16(units, binary.BigEndian)
	}
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	if before, _, found := bytes.Cut(text, []byte{0}); found {
		return nil, fmt.Errorf("line %d has a zero byte: this is UTF-16 without a byte order mark, or no text%s",
			bytes.Count(before, []byte("\n"))+1, saveAsUTF8)
	}
	return text, nil
}

func fromUTF16(raw []byte, order binary.ByteOrder) ([]byte, error) {
	if len(raw)%2 != 0 {
		return nil, errors.New("is UTF-16 text that ends in half a character" + saveAsUTF8)
	}
	units := make([]uint16, 0, len(raw)/2)
	for ; len(raw) > 0; raw = raw[2:] {
		units = append(units, order.Uint16(raw))
	}
	return []byte(string(utf16.Decode(units))), nil
}
