package agency

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"loteria/lottery"
)

// The format of a file, and what is wrong with a row, are only looked for when a row
// is not a valid bet: nothing here makes a file invalid.

const saveAsUTF8 = `expected UTF-8 with commas: save it as "CSV UTF-8"`

// signatures are how files of other formats begin.
var signatures = []struct{ prefix, format string }{
	{"\xff\xfe\x00\x00", "is UTF-32, " + saveAsUTF8},
	{"\xff\xfe", "is UTF-16 (little-endian), " + saveAsUTF8},
	{"\xfe\xff", "is UTF-16 (big-endian), " + saveAsUTF8},
	{"PK\x03\x04", `is a zip or a spreadsheet (.xlsx, .ods), expected text: save it as "CSV UTF-8", or name the zip .zip`},
	{"\xd0\xcf\x11\xe0", `is a spreadsheet (.xls), expected text: save it as "CSV UTF-8"`},
	{"\x1f\x8b", "is compressed (gzip), expected text: unpack it"},
	{"%PDF", "is a PDF, expected CSV"},
	{"<", "is HTML or XML, expected CSV: what was downloaded is perhaps an error page"},
	{"{", "is JSON, expected CSV"},
}

// separators are what other programs have instead of commas.
var separators = []struct{ separator, name string }{
	{";", "semicolons"},
	{"\t", "tabs"},
	{"|", "vertical bars"},
}

// fileFormat returns the format of a file in which no row can be a valid bet, and
// what to do, or "". head is the beginning of the file.
func fileFormat(head string) string {
	for _, s := range signatures {
		if strings.HasPrefix(head, s.prefix) {
			return s.format
		}
	}
	if f := nulFormat(head); f != "" {
		return f
	}
	text := strings.TrimRight(head, "\r\n")
	if !strings.Contains(text, "\n") && strings.Contains(strings.TrimLeft(text, "\r"), "\r") {
		return "ends its lines with a carriage return (CR) alone, expected CR LF or LF: save it with the line ends of Windows or Unix"
	}
	for _, s := range separators {
		if separatedBy(head, s.separator) {
			return fmt.Sprintf("has its fields separated by %s, expected commas: save it as CSV separated by commas", s.name)
		}
	}
	return ""
}

// nulFormat tells UTF-16 without a byte order mark by its zero bytes: every second
// one of Latin text.
func nulFormat(head string) string {
	head = head[:min(len(head), maxRow)]
	var zeros [2]int
	for i := range len(head) {
		if head[i] == 0 {
			zeros[i%2]++
		}
	}
	half := len(head) / 2
	many := func(n int) bool { return half > 0 && n > half/2 }
	switch {
	case many(zeros[0]) && many(zeros[1]) && head[0] != 0: // some rows, and then only zero bytes
		return ""
	case many(zeros[0]) && many(zeros[1]):
		return "has zero bytes instead of text: it is damaged or not yet copied; copy it again"
	case many(zeros[1]):
		return "is UTF-16 (little-endian, without a byte order mark), " + saveAsUTF8
	case many(zeros[0]):
		return "is UTF-16 (big-endian, without a byte order mark), " + saveAsUTF8
	}
	return ""
}

// separatedBy reports whether every line of head has its fields separated by the
// separator, and not by commas.
func separatedBy(head, separator string) bool {
	if len(head) >= readSize {
		head = head[:strings.LastIndexByte(head, '\n')+1] // the last line may go on
	}
	found := false
	for line := range strings.Lines(head) {
		line = strings.Trim(line, "\r\n\x1a"+byteOrderMark)
		if line == "" || !found && strings.HasPrefix(line, "sep=") { // Excel's first line
			continue
		}
		if strings.Count(line, separator) < columns-1 || strings.Count(line, ",") >= columns-1 {
			return false
		}
		found = true
	}
	return found
}

// explain adds to the reason why a row is not a valid bet the likely cause, and what
// to do.
func explain(r *row, reason error) error {
	hint := ""
	var refusal *lottery.Refusal
	switch {
	case strings.IndexByte(r.text, 0) >= 0:
		hint = "there are zero bytes in it, as in a file that is not copied whole: copy it again"
	case errors.As(reason, &refusal):
		hint = explainBet(r, refusal.Code)
	case reason == strayQuote:
		hint = "quote the whole field, without a space before it, and double the quotes in it"
	case reason == checkCount(r.count):
		hint = explainCount(r)
	}
	if hint == "" {
		return reason
	}
	return fmt.Errorf("%w; %s", reason, hint)
}

func explainCount(r *row) string {
	text := strings.TrimSpace(r.text)
	for _, s := range separators {
		if strings.Count(text, s.separator) >= columns-1 {
			return fmt.Sprintf("its fields are separated by %s, expected commas", s.name)
		}
	}
	switch {
	case strings.Contains(text, byteOrderMark):
		return "there is a byte order mark in it, as joined files have it: put a line break in its place"
	case strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r"):
		return "there is a carriage return (CR) without a line feed (LF) in it, expected CR LF or LF"
	case r.count > columns && strings.HasSuffix(text, strings.Repeat(",", r.count-columns)):
		return "there are empty fields at its end: take them away"
	case r.count == columns+1 && onlyDigits(r.fields[0]):
		return "its first field looks like the agency's number: take that column away"
	}
	return ""
}

// explainBet is explain for a row whose bet breaks a rule.
func explainBet(r *row, code lottery.Code) string {
	document, birthdate, number := r.fields[2], r.fields[3], r.fields[4]
	if !strings.ContainsAny(document+birthdate+number, "0123456789") && document != "" && birthdate != "" && number != "" {
		return "this looks like a header line: take it out"
	}
	switch code {
	case lottery.BadName:
		for _, name := range r.fields[:2] {
			if hint := explainName(name); hint != "" {
				return hint
			}
		}
	case lottery.BadDocument:
		return explainNumber(document, "30904465")
	case lottery.BadBirthdate:
		return explainDate(birthdate)
	case lottery.BadNumber:
		return explainNumber(number, "7574")
	}
	return ""
}

func explainName(name string) string {
	switch {
	case !utf8.ValidString(name):
		return explainBytes(name)
	case strings.Contains(name, "\n"):
		return "a quote that is not closed takes the lines behind it along: is one missing?"
	case strings.Contains(name, "\r"):
		return "there is a carriage return (CR) without a line feed (LF) in it, expected CR LF or LF"
	case strings.Contains(name, dosEnd):
		return string(middleEnd)
	}
	return ""
}

// In Windows-1252, bytes 0x80 to 0x9F; higher ones are as in Unicode.
var windows1252 = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

// codePage850 has the letters of Spanish in DOS whose bytes are no letters in
// Windows-1252: the others are taken for those.
var codePage850 = map[byte]rune{
	0x81: 'ü', 0x82: 'é', 0x90: 'É', 0xa0: 'á', 0xa1: 'í', 0xa2: 'ó', 0xa3: 'ú', 0xa4: 'ñ', 0xa5: 'Ñ',
}

// maxContext is how many letters before a byte are shown.
const maxContext = 20

// explainBytes is for a name that is not UTF-8: it names the letter that its first
// invalid byte is in another encoding.
func explainBytes(name string) string {
	at := 0
	for at < len(name) {
		r, size := utf8.DecodeRuneInString(name[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	b := name[at]
	letter, encoding := rune(b), "Windows-1252"
	if b < 0xa0 {
		letter = windows1252[b-0x80]
	}
	if !unicode.IsLetter(letter) {
		if dos, ok := codePage850[b]; ok {
			letter, encoding = dos, "code page 850 (DOS)"
		}
	}
	if !unicode.IsLetter(letter) {
		return fmt.Sprintf("its byte 0x%02X is of another encoding, %s", b, saveAsUTF8)
	}
	before := []rune(name[:at])
	before = before[max(0, len(before)-maxContext):]
	return fmt.Sprintf("its byte 0x%02X is %q in %s, as in %q: %s", b, letter, encoding, string(before)+string(letter), saveAsUTF8)
}

// explainNumber is for a document or number; example is a valid one.
func explainNumber(text, example string) string {
	bare := strings.Map(func(r rune) rune {
		if r == '.' || r == ',' || r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	whole, decimals, cut := strings.Cut(strings.ReplaceAll(text, ",", "."), ".")
	switch {
	case strings.TrimSpace(text) != text && onlyDigits(strings.TrimSpace(text)):
		return "there are spaces around it, which are part of the field: take them away"
	case cut && onlyDigits(whole) && len(whole) <= lottery.MaxDocument && decimals != "" && strings.Trim(decimals, "0") == "" && len(decimals) < 3:
		return fmt.Sprintf("a spreadsheet has made it a decimal: write %s", whole)
	case onlyDigits(bare) && len(bare) <= lottery.MaxDocument && bare != text:
		return fmt.Sprintf("write it with digits alone: %s", bare)
	case strings.ContainsAny(text, "eE") && onlyDigits(strings.Map(dropExponent, text)):
		return fmt.Sprintf("a spreadsheet has rounded it: format the column as whole numbers, like %s", example)
	}
	return ""
}

func dropExponent(r rune) rune {
	if strings.ContainsRune("eE+.,", r) {
		return -1
	}
	return r
}

// explainDate says what is wrong with a birthdate that is not YYYY-MM-DD.
func explainDate(text string) string {
	trimmed := strings.TrimSpace(text)
	date, _, hasTime := strings.Cut(strings.Replace(trimmed, "T", " ", 1), " ")
	parts := strings.FieldsFunc(date, func(r rune) bool { return strings.ContainsRune("/-.", r) })
	if len(parts) == 1 && len(date) == 5 && onlyDigits(date) {
		return "it is a spreadsheet's number of a day: format the column as yyyy-mm-dd"
	}
	if len(parts) != 3 || !onlyDigits(strings.Join(parts, "")) {
		return ""
	}
	switch year := len(parts[0]) == 4; {
	case !year && len(parts[0]) <= 2 && (len(parts[2]) == 4 || len(parts[2]) == 2):
		return "it is written with the year at the end (DD/MM/YYYY or MM/DD/YYYY): format the column as yyyy-mm-dd"
	case year && len(date) != len("2006-01-02"):
		return "month and day have two digits each"
	case year && date != strings.Join(parts, "-"):
		return "write it with hyphens: " + strings.Join(parts, "-")
	case year && hasTime:
		return "a time is behind it: take it away"
	case year && trimmed != text:
		return "there are spaces around it, which are part of the field: take them away"
	}
	return ""
}

func onlyDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
