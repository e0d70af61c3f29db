package logline

import (
	"bytes"

	"github.com/rs/zerolog"
)

// separator stands between two parts of a line. No value holds its bar.
const separator = " | "

// What zerolog's own two fields look like in an event.
var (
	levelPrefix  = []byte(`{"` + zerolog.LevelFieldName + `":"`)
	timestampKey = []byte(`"` + zerolog.TimestampFieldName + `":`)
)

// appendLine appends one event of zerolog as the part of a line that follows
// the time: level, then the fields in their order, then a line break.
//
// The level is known by its place, the first field of the event, where no
// caller can put one of his own; the field of zerolog's Timestamp is left out,
// because the line starts with the time. An event that is not what zerolog
// writes (a broken RawJSON, plain text) still gives one harmless line: what
// cannot be read stands, sanitised, in a last part "malformed" or, when there
// is no object at all, "message".
func appendLine(dst, event []byte) []byte {
	event = bytes.TrimRight(event, "\r\n")
	if len(event) == 0 || event[0] != '{' {
		dst = append(dst, "INFO     message: "...)
		return append(appendSafe(dst, event), '\n')
	}
	column, at := leadingLevel(event)
	dst = append(dst, column...)
	for first := true; ; {
		switch {
		case at < len(event) && event[at] == '}':
			return append(dst, '\n')
		case at < len(event) && event[at] == ',':
			at++
		}
		start := len(dst)
		if !first {
			dst = append(dst, separator...)
		}
		key := len(dst)
		var next int
		var ok bool
		if dst, next, ok = appendField(dst, event, at); !ok {
			dst = append(dst[:key], "malformed: "...)
			return append(appendSafe(dst, event[at:]), '\n')
		}
		if bytes.HasPrefix(event[at:], timestampKey) {
			dst = dst[:start]
		} else {
			first = false
		}
		at = next
	}
}

// leadingLevel reads the level that zerolog writes first. after is the index
// behind it, or 1, behind the brace, when the event does not begin with a level.
func leadingLevel(event []byte) (column string, after int) {
	if rest, ok := bytes.CutPrefix(event, levelPrefix); ok {
		if end := bytes.IndexByte(rest, '"'); end >= 0 {
			if column, known := paddedLevel(rest[:end]); known {
				return column, len(levelPrefix) + end + 1
			}
		}
	}
	column, _ = paddedLevel(nil)
	return column, 1
}

// appendField appends the field at event[at] as "key: value". next is the index
// behind it; ok is false where there is no whole field.
func appendField(dst, event []byte, at int) (out []byte, next int, ok bool) {
	dst, at, ok = appendString(dst, event, at)
	if !ok || at >= len(event) || event[at] != ':' {
		return dst, at, false
	}
	at++
	dst = append(dst, ':', ' ')
	if at >= len(event) {
		return dst, at, false
	}
	switch event[at] {
	case '"':
		return appendString(dst, event, at)
	case '{', '[':
		return appendNested(dst, event, at)
	}
	end := at
	for end < len(event) && event[end] != ',' && event[end] != '}' {
		end++
	}
	if end == at || end == len(event) {
		return dst, at, false
	}
	return appendSafe(dst, event[at:end]), end, true
}

// appendNested appends the array or object at event[at] as it is written there,
// sanitised. Escapes within its strings stay as they are.
func appendNested(dst, event []byte, at int) (out []byte, next int, ok bool) {
	depth, quoted := 0, false
	for i := at; i < len(event); i++ {
		switch c := event[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return appendSafe(dst, event[at:i+1]), i + 1, true
			}
		}
	}
	return dst, at, false
}
