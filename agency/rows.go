package agency

import (
	"fmt"
	"io"
	"strings"
)

const (
	columns  = 5
	headings = "first name, last name, document, birthdate, number"

	// readSize is how much of a file is read at a time, in bytes.
	readSize = 64 << 10
	// maxRow is the longest row, in bytes, that is looked at. The longest valid bet is
	// a quarter of it; a quote that is not closed is noticed after as many bytes and
	// costs no more than its line.
	maxRow = 4096

	byteOrderMark = "\uFEFF"
)

// row is one row of an agency's file.
type row struct {
	line   int // of the file, from 1, on which it begins
	fields [columns]string
	count  int    // of fields, also of those beyond columns
	text   string // all of it with its line end, or what there is of it
}

// badRow says why something is no row.
type badRow string

func (e badRow) Error() string { return string(e) }

const (
	strayQuote badRow = "a quote inside a field that does not begin with one"
	afterQuote badRow = "text after a closing quote"
	secondMark badRow = "a byte order mark that is not at the beginning of the file, as joined files have it: take it out"
	middleEnd  badRow = "a Ctrl-Z (0x1A), which ended files in DOS, in the middle of the file: take it out"
)

// unclosedQuote is the error for the quote at an index of a row that begins on the line.
func unclosedQuote(text string, at, line int) badRow {
	begin, _, _ := strings.Cut(text[at+1:], "\n")
	return badRow(fmt.Sprintf("the quote before %.20q in line %d is not closed", begin, line+strings.Count(text[:at], "\n")))
}

// rows cuts a file into rows, in constant memory. It reads CSV as RFC 4180 has it
// and Python's csv module writes it: lines end in LF or CR LF, the last one may lack
// its end, and a field in quotes may hold commas, doubled quotes and line breaks. A
// byte order mark at the beginning is skipped, and so are a Ctrl-Z at the end and
// lines of only spaces, tabs and commas, which spreadsheets write for empty cells.
//
// It reads into text, a block at a time: the fields are parts of it, so a row
// without doubled quotes costs no memory of its own.
type rows struct {
	source io.Reader
	buffer []byte
	text   string // what was read and is not yet cut
	head   string // what was read first, for fileFormat
	ended  bool   // there is nothing more to read
	begun  bool
	line   int // how many lines were cut
}

func newRows(source io.Reader) *rows {
	return &rows{source: source, buffer: make([]byte, maxRow+readSize)}
}

// next reads the next row into r. The error is io.EOF after the last, a badRow
// for something that is no row (r.line is then known, and the next call goes on
// with the line after it), or that of the source.
func (rs *rows) next(r *row) error {
	for {
		if err := rs.skipEmpty(); err != nil {
			return err
		}
		r.line = rs.line + 1
		window := rs.text[:min(len(rs.text), maxRow)]
		n, err := r.cut(window, rs.ended && len(window) == len(rs.text))
		if n == 0 && len(rs.text) < maxRow && !rs.ended {
			if err := rs.fill(); err != nil {
				return err
			}
			continue
		}
		if n == 0 {
			r.text = window
			if err == nil {
				err = badRow(fmt.Sprintf("the row has more than %d bytes", maxRow))
			}
			if dropErr := rs.dropLine(); dropErr != nil {
				return dropErr
			}
			return err
		}
		r.text = window[:n]
		rs.line += strings.Count(r.text, "\n")
		rs.text = rs.text[n:]
		switch {
		case strings.HasPrefix(r.text, byteOrderMark):
			return secondMark
		case strings.HasSuffix(trimLineEnd(r.text), dosEnd):
			if err = rs.cutDOSEnd(r); err == io.EOF {
				return io.EOF
			}
		}
		if !isBlank(r.text) {
			return err
		}
	}
}

// dosEnd is Ctrl-Z, with which DOS ended files.
const dosEnd = "\x1a"

// cutDOSEnd takes the Ctrl-Z off a row that is the last one. The error is
// io.EOF when nothing else is on it, or that of the row.
func (rs *rows) cutDOSEnd(r *row) error {
	switch end := rs.skipEmpty(); {
	case end == nil:
		return middleEnd
	case end != io.EOF:
		return end
	}
	r.text = strings.TrimRight(trimLineEnd(r.text), dosEnd) // CP/M filled the last block with it
	if isBlank(r.text) {
		return io.EOF
	}
	_, err := r.cut(r.text, true)
	return err
}

// isBlank reports whether a row has only spaces, tabs and commas.
func isBlank(text string) bool {
	return text == "" || strings.IndexByte(", \t", text[0]) >= 0 && strings.Trim(text, ", \t\r\n") == ""
}

// skipEmpty takes empty lines off the text, which then is not empty.
func (rs *rows) skipEmpty() error {
	for {
		switch {
		case strings.HasPrefix(rs.text, "\n"):
			rs.text, rs.line = rs.text[1:], rs.line+1
		case strings.HasPrefix(rs.text, "\r\n"):
			rs.text, rs.line = rs.text[2:], rs.line+1
		case rs.text != "" && rs.text != "\r":
			return nil
		case rs.ended:
			return io.EOF
		default:
			if err := rs.fill(); err != nil {
				return err
			}
		}
	}
}

// dropLine drops everything up to the end of the line.
func (rs *rows) dropLine() error {
	for {
		if i := strings.IndexByte(rs.text, '\n'); i >= 0 {
			rs.text, rs.line = rs.text[i+1:], rs.line+1
			return nil
		}
		rs.text = ""
		if rs.ended {
			return nil
		}
		if err := rs.fill(); err != nil {
			return err
		}
	}
}

// fill appends another block to the text, of which less than a row is left.
func (rs *rows) fill() error {
	size := copy(rs.buffer, rs.text)
	for size < len(rs.buffer) && !rs.ended {
		n, err := rs.source.Read(rs.buffer[size:])
		size += n
		// Not io.ReadFull: it would give a broken zip's io.ErrUnexpectedEOF
		// the same name as a proper end.
		if rs.ended = err == io.EOF; err != nil && !rs.ended {
			return err
		}
	}
	rs.text = string(rs.buffer[:size])
	if !rs.begun {
		rs.begun, rs.head = true, rs.text
		rs.text = strings.TrimPrefix(rs.text, byteOrderMark)
	}
	return nil
}

// cut reads the row at the beginning of text, and returns how many bytes it
// has with its line end, or 0 when it does not end within text. ended says
// that nothing follows text. The error is a badRow.
func (r *row) cut(text string, ended bool) (int, error) {
	size := strings.IndexByte(text, '\n') + 1
	line := text[:size]
	if size == 0 && ended {
		size = len(text)
		line = text
	}
	if size == 0 || strings.IndexByte(line, '"') >= 0 {
		return r.cutQuoted(text, ended)
	}
	line = trimLineEnd(line)
	r.count = 0
	for more := true; more; r.count++ {
		var field string
		field, line, more = strings.Cut(line, ",")
		if r.count < columns {
			r.fields[r.count] = field
		}
	}
	return size, checkCount(r.count)
}

// cutQuoted is cut for a row with quotes.
func (r *row) cutQuoted(text string, ended bool) (int, error) {
	at, quote := 0, 0
	for r.count = 1; ; r.count++ {
		var field string
		if strings.HasPrefix(text[at:], `"`) {
			end, doubled := closingQuote(text, at+1)
			if end < 0 || end+1 == len(text) && !ended {
				return 0, unclosedQuote(text, at, r.line)
			}
			quote = at
			field = text[at+1 : end]
			if doubled {
				field = strings.ReplaceAll(field, `""`, `"`)
			}
			at = end + 1
		} else {
			end := strings.IndexAny(text[at:], ",\n")
			if end < 0 {
				if !ended {
					return 0, nil
				}
				end = len(text) - at
			}
			field = text[at : at+end]
			at += end
			if at == len(text) || text[at] == '\n' {
				field = strings.TrimSuffix(field, "\r")
			}
			if strings.IndexByte(field, '"') >= 0 {
				return endOfLine(text, at, ended), strayQuote
			}
		}
		if r.count <= columns {
			r.fields[r.count-1] = field
		}
		switch rest := text[at:]; {
		case strings.HasPrefix(rest, ","):
			at++
			continue
		case rest == "", rest == "\r" && ended:
			at = len(text)
		case rest == "\r":
			return 0, nil
		case strings.HasPrefix(rest, "\n"):
			at++
		case strings.HasPrefix(rest, "\r\n"):
			at += 2
		case strings.IndexByte(text[quote:at], '\n') >= 0:
			// The quote that closes it was most likely meant to open another field. Only the
			// first line is lost then.
			return endOfLine(text, 0, ended), unclosedQuote(text, quote, r.line)
		default:
			return endOfLine(text, at, ended), afterQuote
		}
		return at, checkCount(r.count)
	}
}

// closingQuote returns the index of the quote that closes a field whose text
// begins at start, or -1, and whether doubled quotes are before it.
func closingQuote(text string, start int) (end int, doubled bool) {
	for at := start; ; {
		i := strings.IndexByte(text[at:], '"')
		if i < 0 {
			return -1, doubled
		}
		at += i
		if !strings.HasPrefix(text[at+1:], `"`) {
			return at, doubled
		}
		at, doubled = at+2, true
	}
}

// endOfLine returns the index after the line that holds at, or 0 when text does not
// hold its end.
func endOfLine(text string, at int, ended bool) int {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	if ended {
		return len(text)
	}
	return 0
}

func trimLineEnd(line string) string {
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
}

func checkCount(fields int) error {
	if fields == columns {
		return nil
	}
	s := "s"
	if fields == 1 {
		s = ""
	}
	return badRow(fmt.Sprintf("the row has %d field%s, expected %d: %s", fields, s, columns, headings))
}
