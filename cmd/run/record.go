package main

import "strings"

// record is a log line that says "action: … | result: … | key: value | …".
type record struct {
	action string
	result string
	fields map[string]string
}

// parseRecord reads a line of a process's log. ok is false for any other line:
// an error on standard error, a panic.
func parseRecord(line string) (rec record, ok bool) {
	_, rest, ok := strings.Cut(line, "action: ")
	if !ok {
		return record{}, false
	}
	parts := strings.Split(rest, " | ")
	rec.action = parts[0]
	rec.fields = make(map[string]string, len(parts))
	for _, part := range parts[1:] {
		if key, value, ok := strings.Cut(part, ": "); ok {
			rec.fields[key] = value
		}
	}
	rec.result = rec.fields["result"]
	return rec, rec.action != "" && rec.result != ""
}

// message is a line without the time before its action.
func message(line string) string {
	if i := strings.Index(line, "action: "); i >= 0 {
		return line[i:]
	}
	return line
}
