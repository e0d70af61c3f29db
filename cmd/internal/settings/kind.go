package settings

import (
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind is what a setting's value may be.
type Kind[T any] struct {
	allowed string
	empty   bool
	absent  bool   // it need not be given
	alone   string // the value of a flag that stands alone; empty when it may not
	parse   func(string) (T, error)
}

// OrEmpty returns the kind with the empty value allowed too. It is T's zero value.
func (k Kind[T]) OrEmpty() Kind[T] {
	k.empty = true
	k.allowed += ", or empty"
	return k
}

// OrAbsent returns the kind for a setting that may be left out, but not be empty: a
// script's empty variable as the value of a flag must not start anything but what
// was asked for. When left out, it is T's zero value.
func (k Kind[T]) OrAbsent() Kind[T] {
	k.absent = true
	return k
}

var errEmpty = errors.New("is empty")

func (k Kind[T]) read(text string) (value T, err error) {
	if text != "" {
		return k.parse(text)
	}
	if !k.empty {
		err = errEmpty
	}
	return value, err
}

// errNotAllowed is for values about which only what is allowed is said.
var errNotAllowed = errors.New("is not allowed")

// Parsed is whatever parse accepts. allowed describes that in a phrase, such as
// "an IP address". parse never sees an empty text, and the text of its error is
// not shown: allowed says it all.
func Parsed[T any](allowed string, parse func(string) (T, error)) Kind[T] {
	return Kind[T]{allowed: allowed, parse: func(text string) (T, error) {
		value, err := parse(text)
		if err != nil {
			return value, errNotAllowed
		}
		return value, nil
	}}
}

// Text is any text that is not empty, exactly as it was given.
func Text() Kind[string] {
	return Parsed("any text", func(text string) (string, error) { return text, nil })
}

// errContent is for a secret that stands where the path of its file should: neither
// an error nor a log may show it.
var errContent = errors.New("has what such a file holds")

// Path is the path of a file, exactly as it was given. The content of such a file is
// refused, and not shown.
func Path() Kind[string] {
	kind := Parsed("the path of a file", func(text string) (string, error) { return text, nil })
	kind.parse = func(text string) (string, error) {
		if isContent(text) {
			return "", errContent
		}
		return text, nil
	}
	return kind
}

const longestPath = 4095 // bytes, for Linux

// isContent reports whether the text can only be a file's content, not its path:
// PEM, its lines without the first one, or DER in Base64.
func isContent(text string) bool {
	if strings.Contains(text, "-----BEGIN") || strings.ContainsAny(text, "\r\n") || len(text) > longestPath {
		return true
	}
	binary, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	var sequence asn1.RawValue
	rest, notDER := asn1.Unmarshal(binary, &sequence)
	return err == nil && notDER == nil && len(rest) == 0 && sequence.Tag == asn1.TagSequence
}

// Int is a whole number from low to high, inclusive.
func Int(low, high int) Kind[int] {
	return Parsed(fmt.Sprintf("a whole number from %d to %d", low, high), func(text string) (int, error) {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err == nil && (n < low || n > high) {
			err = errNotAllowed
		}
		return n, err
	})
}

// Duration is a duration from low to high, inclusive: Go's syntax, or a bare number
// of seconds.
func Duration(low, high time.Duration) Kind[time.Duration] {
	allowed := fmt.Sprintf("a duration from %s to %s, like 100ms, 5s or 5 (seconds)", short(low), short(high))
	return Parsed(allowed, func(text string) (time.Duration, error) {
		text = strings.ToLower(strings.TrimSpace(text))
		if strings.Trim(text, "0123456789.") == "" {
			text += "s"
		}
		d, err := time.ParseDuration(text)
		if err == nil && (d < low || d > high) {
			err = errNotAllowed
		}
		return d, err
	})
}

// short writes a duration without the units that are zero: 1h, not 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Bool is true or false, in the usual ways to write them. Its flag alone means
// true.
func Bool() Kind[bool] {
	kind := Parsed("true or false (also 1/0, yes/no, on/off)", func(text string) (bool, error) {
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true", "1", "yes", "on":
			return true, nil
		case "false", "0", "no", "off":
			return false, nil
		}
		return false, errNotAllowed
	})
	kind.alone = "true"
	return kind
}

// OneOf is one of some words, in any case; the value is the word as listed here.
func OneOf(words ...string) Kind[string] {
	return Parsed("one of "+strings.Join(words, ", "), func(text string) (string, error) {
		for _, word := range words {
			if strings.EqualFold(word, strings.TrimSpace(text)) {
				return word, nil
			}
		}
		return "", errNotAllowed
	})
}
