package logline

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/rs/zerolog"
)

// separator stands between two parts of a line. No value holds its bar.
const separator = " | "

// appendPart appends a part of a line, sanitised.
func appendPart(dst []byte, key, value string) []byte {
	dst = append(appendSafe(dst, key), ':', ' ')
	return appendSafe(dst, value)
}

// appendLine appends one event of zerolog as the part of a line that follows
// the time: level, then the fields in their order, then a line break. Strings
// appear without quotes, everything else as it is written in the event.
//
// The level is known by its place, the first field of the event, where no caller
// can put its own; the field of zerolog's Timestamp is left out, because the line
// starts with the time. An event that is not what zerolog writes (a broken RawJSON,
// plain text) still gives one harmless line: what cannot be read stands, sanitised,
// in a last part "malformed" or, when there is no object at all, "message".
func appendLine(dst, event []byte) []byte {
	event = bytes.TrimRight(event, "\r\n")
	start := len(dst)
	dst = append(dst, column(zerolog.NoLevel)...)
	fields := len(dst)
	in := json.NewDecoder(bytes.NewReader(event))
	if open, _ := in.Token(); open != json.Delim('{') {
		return append(appendPart(dst, "message", string(event)), '\n')
	}
	for first := true; ; first = false {
		rest := event[in.InputOffset():]
		key, value, err := readField(in)
		switch {
		case err == errEnd:
			return append(dst, '\n')
		case err != nil:
			key, value = "malformed", string(bytes.TrimPrefix(rest, []byte(",")))
		case first && key == zerolog.LevelFieldName:
			if level, err := zerolog.ParseLevel(value); err == nil {
				copy(dst[start:], column(level))
				continue
			}
		case key == zerolog.TimestampFieldName:
			continue
		}
		if len(dst) > fields {
			dst = append(dst, separator...)
		}
		dst = appendPart(dst, key, value)
		if err != nil {
			return append(dst, '\n')
		}
	}
}

// errEnd is readField's error after the last field.
var errEnd = errors.New("logline: end of the event")

// readField reads the next field of the object that in is within.
func readField(in *json.Decoder) (key, value string, err error) {
	token, err := in.Token()
	if err != nil {
		return "", "", err
	}
	key, ok := token.(string)
	if !ok {
		return "", "", errEnd // in the place of a key there is nothing else
	}
	var raw json.RawMessage
	if err = in.Decode(&raw); err != nil {
		return "", "", err
	}
	if raw[0] != '"' {
		return key, string(raw), nil
	}
	err = json.Unmarshal(raw, &value)
	return key, value, err
}
