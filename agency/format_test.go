package agency

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/rs/zerolog"
	"loteria/lottery"
)

func inUTF16(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// inLatin1 encodes the letters of Spanish in Windows-1252.
func inLatin1(text string) string {
	var b []byte
	for _, r := range text {
		b = append(b, byte(r))
	}
	return string(b)
}

// The error for a file of another format names it and says what to do, whatever the
// agency leaves out, and nothing is sent.
func TestFileFormats(t *testing.T) {
	rows := sampleRows(2000) // more than is looked at
	crlf := strings.Join(rows, "\r\n") + "\r\n"
	const utf8 = `expected UTF-8 with commas: save it as "CSV UTF-8"`
	tests := []struct{ name, content, says string }{
		{"semicolons", strings.ReplaceAll(crlf, ",", ";"), "separated by semicolons, expected commas"},
		{"semicolons, one row", "Ana;Ruiz;12345678;2000-01-02;7574", "separated by semicolons"},
		{"semicolons, a mark", "\uFEFF" + strings.ReplaceAll(crlf, ",", ";"), "separated by semicolons"},
		{"semicolons, a header and empty cells", "Nombre;Apellido;DNI;Nacimiento;Número\r\n" + strings.ReplaceAll(crlf, ",", ";") + ";;;;\r\n", "separated by semicolons"},
		{"semicolons, as Excel says it", "sep=;\r\n" + strings.ReplaceAll(crlf, ",", ";"), "separated by semicolons"},
		{"semicolons, commas in names", "\"Ana, María\";Ruiz;12345678;2000-01-02;7574\n", "separated by semicolons"},
		{"tabs", strings.ReplaceAll(crlf, ",", "\t"), "separated by tabs"},
		{"vertical bars", strings.ReplaceAll(crlf, ",", "|"), "separated by vertical bars"},
		{"UTF-16 LE", inUTF16(binary.LittleEndian, "\uFEFF"+crlf), "is UTF-16 (little-endian), " + utf8},
		{"UTF-16 BE", inUTF16(binary.BigEndian, "\uFEFF"+crlf), "is UTF-16 (big-endian), " + utf8},
		{"UTF-16 LE without a mark", inUTF16(binary.LittleEndian, crlf), "is UTF-16 (little-endian, without a byte order mark), " + utf8},
		{"UTF-16 BE without a mark", inUTF16(binary.BigEndian, crlf), "is UTF-16 (big-endian, without a byte order mark), " + utf8},
		{"UTF-16 BE, one row without end", inUTF16(binary.BigEndian, rows[0]), "is UTF-16 (big-endian"},
		{"UTF-16 with semicolons", inUTF16(binary.LittleEndian, strings.ReplaceAll(crlf, ",", ";")), "is UTF-16 (little-endian"},
		{"UTF-32", "\xff\xfe\x00\x00A\x00\x00\x00", "is UTF-32"},
		{"only CR", strings.Join(rows, "\r"), "carriage return (CR) alone, expected CR LF or LF"},
		{"only CR, few", strings.Join(rows[:3], "\r") + "\r", "carriage return (CR) alone"},
		{"only CR, semicolons", strings.ReplaceAll(strings.Join(rows, "\r"), ",", ";"), "carriage return (CR) alone"},
		{"zip", string(zipOf(t, "agency-1.csv", crlf)), "is a zip or a spreadsheet"},
		{"xls", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a spreadsheet (.xls)"},
		{"gzip", "\x1f\x8b\x08\x00", "is compressed (gzip)"},
		{"HTML", "<!DOCTYPE html>\n<html>\n", "is HTML or XML"},
		{"JSON", "{\"bets\": []}\n", "is JSON"},
		{"zero bytes", string(make([]byte, 100_000)), "has zero bytes instead of text"},
	}
	for _, test := range tests {
		for _, skip := range []bool{false, true} {
			t.Run(fmt.Sprint(test.name, ", skip ", skip), func(t *testing.T) {
				central := &fake{knowsResume: true}
				config := batchConfig(t, central.start(t), nil)
				config.DataDir = writeFile(t, test.content)
				config.SkipInvalid, config.AllowEmpty = skip, skip
				log, err := runAgency(t, config)
				wantFailure(t, log, err, "read_file", "agency-1.csv ", test.says, "; nothing was sent")
				central.wantUncalled()
			})
		}
	}
}

// The error for a row says what has most likely happened to it, and its line.
func TestRowHints(t *testing.T) {
	good := sampleRows(3)
	latin1 := inLatin1("María,Núñez,12345678,2000-01-02,7574")
	tests := []struct{ name, row, says string }{
		{"Windows-1252", latin1, `its byte 0xED is 'í' in Windows-1252, as in "Marí": expected UTF-8`},
		{"Windows-1252, last name", inLatin1("Ana,Núñez,12345678,2000-01-02,7574"), `its byte 0xFA is 'ú' in Windows-1252, as in "Nú"`},
		{"Windows-1252, not in Latin-1", "Ana,\x8aova,12345678,2000-01-02,7574", `its byte 0x8A is 'Š' in Windows-1252`},
		{"DOS", "Ana,Nu\xa4ez,12345678,2000-01-02,7574", `its byte 0xA4 is 'ñ' in code page 850 (DOS)`},
		{"no letter", "Ana,Nu\xa7ez,12345678,2000-01-02,7574", `its byte 0xA7 is of another encoding`},
		{"header", "Nombre,Apellido,DNI,Nacimiento,Número", "this looks like a header line: take it out"},
		{"semicolons", "Ana;Ruiz;12345678;2000-01-02;7574", "its fields are separated by semicolons, expected commas"},
		{"empty fields behind", "Ana,Ruiz,12345678,2000-01-02,7574,,,", "8 fields, expected 5: first name, last name, document, birthdate, number; there are empty fields at its end"},
		{"agency in front", "1,Ana,Ruiz,12345678,2000-01-02,7574", "its first field looks like the agency's number"},
		{"joined without a break", "Ana,Ruiz,12345678,2000-01-02,7574\uFEFFBeto,Paz,1,2000-01-02,1", "byte order mark in it, as joined files have it"},
		{"second mark", "\uFEFFAna,Ruiz,12345678,2000-01-02,7574", "a byte order mark that is not at the beginning of the file"},
		{"Ctrl-Z", "\x1a", "a Ctrl-Z (0x1A)"},
		{"Ctrl-Z in front", "\x1aAna,Ruiz,12345678,2000-01-02,7574", "a Ctrl-Z (0x1A)"},
		{"CR alone", "Ana,Ruiz,1,2000-01-02,7574\rBeto,Paz,1,2000-01-02,1", "a carriage return (CR) without a line feed"},
		{"CR in a name", "A\rna,Ruiz,1,2000-01-02,7574", "a carriage return (CR) without a line feed"},
		{"not copied whole", "Ana,Ruiz,1,2000-01" + string(make([]byte, 10_000)), "there are zero bytes in it, as in a file that is not copied whole"},
		{"not copied whole, a name", "An\x00,Ruiz,1,2000-01-01,1", "there are zero bytes in it"},
		{"DD/MM/YYYY", "Ana,Ruiz,12345678,17/03/1999,7574", `"17/03/1999", expected an existing date as YYYY-MM-DD; it is written with the year at the end`},
		{"D/M/YY", "Ana,Ruiz,12345678,7/3/99,7574", "with the year at the end"},
		{"DD-MM-YYYY", "Ana,Ruiz,12345678,17-03-1999,7574", "with the year at the end"},
		{"YYYY/MM/DD", "Ana,Ruiz,12345678,1999/03/17,7574", "write it with hyphens: 1999-03-17"},
		{"YYYY-M-D", "Ana,Ruiz,12345678,1999-3-17,7574", "month and day have two digits each"},
		{"time", "Ana,Ruiz,12345678,1999-03-17 00:00:00,7574", "a time is behind it"},
		{"day's number", "Ana,Ruiz,12345678,36236,7574", "a spreadsheet's number of a day"},
		{"DNI with dots", "Ana,Ruiz,30.904.465,1999-03-17,7574", `"30.904.465", expected 1 to 10 digits; write it with digits alone: 30904465`},
		{"DNI with spaces", "Ana,Ruiz,30 904 465,1999-03-17,7574", "write it with digits alone: 30904465"},
		{"DNI rounded", "Ana,Ruiz,3.09E+07,1999-03-17,7574", "a spreadsheet has rounded it"},
		{"DNI as a decimal", "Ana,Ruiz,30904465.0,1999-03-17,7574", "a decimal: write 30904465"},
		{"spaces around a DNI", "Ana,Ruiz, 30904465,1999-03-17,7574", "spaces around it, which are part of the field"},
		{"space around a date", "Ana,Ruiz,30904465,1999-03-17 ,7574", "spaces around it, which are part of the field"},
		{"number as a decimal", "Ana,Ruiz,30904465,1999-03-17,7574.0", `"7574.0", expected 0 to 9999; a spreadsheet has made it a decimal: write 7574`},
		{"number with a decimal comma", `Ana,Ruiz,30904465,1999-03-17,"7574,00"`, "a decimal: write 7574"},
		{"number with a dot", "Ana,Ruiz,30904465,1999-03-17,7.574", "write it with digits alone: 7574"},
		{"space behind a number", "Ana,Ruiz,30904465,1999-03-17,7574 ", "spaces around it"},
		{"space before a quote", `Ana, "Ruiz",30904465,1999-03-17,7574`, "without a space before it"},
		{"unclosed quote", `Ana,"Ruiz,30904465,1999-03-17,7574`, `the quote before "Ruiz,30904465,1999-0" in line 3 is not closed; nothing was sent`},
		{"unclosed quote, many semicolons", `Ana,"Ruiz;;;;;;,30904465,1999-03-17,7574`, "in line 3 is not closed; nothing was sent"},
		{"quoted line break in a short row", "Ana,\"Ruiz\r\nPaz\",30904465,1999-03-17", "birthdate, number; nothing was sent"},
		{"quoted line break", "Ana,\"Ruiz\nPaz\",30904465,1999-03-17,7574", "is one missing?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := &fake{knowsResume: true}
			config := batchConfig(t, central.start(t), slices.Insert(slices.Clone(good), 2, test.row))
			log, err := runAgency(t, config)
			wantFailure(t, log, err, "read_file", "agency-1.csv: line 3: ", test.says, "; nothing was sent")
			central.wantUncalled()
			for _, line := range log.all() {
				if strings.ContainsAny(line, "\r\n\t\x1a\uFEFF") {
					t.Errorf("a log line with control characters: %q", line)
				}
			}
		})
	}
}

// Spaces around a field are part of it, as Python's csv has them: in a name
// they are stored.
func TestSpacesInNames(t *testing.T) {
	rows := []string{" Ana, Ruiz ,12345678,2000-01-02,7574"}
	central := &fake{knowsResume: true}
	completed(t, batchConfig(t, central.start(t), rows))
	central.wantStored(rows)
}

// The first ten invalid rows are logged, and how many there are.
func TestManyInvalidRows(t *testing.T) {
	for invalid, says := range map[int]string{
		1:  "line 4: ",
		2:  "2 rows are no valid bets, the first is ",
		10: "10 rows are no valid bets, the first is ",
		37: "the log has the first 10, and there are 27 more",
	} {
		for _, valid := range []int{0, 3} {
			t.Run(fmt.Sprint(invalid, " of ", invalid+valid), func(t *testing.T) {
				rows := append(sampleRows(3)[:valid:valid], slices.Repeat([]string{"Ana,Paz,1,2001-02-29,5"}, invalid)...)
				central := &fake{knowsResume: true}
				config := batchConfig(t, central.start(t), rows)
				log, err := runAgency(t, config)
				for _, says := range []string{strings.Replace(says, "line 4", fmt.Sprint("line ", valid+1), 1), "bad_birthdate", "; nothing was sent"} {
					if err == nil || !contains(err, says) {
						t.Errorf("the error is %v, expected %q", err, says)
					}
				}
				if bad := (*RowError)(nil); !errors.As(err, &bad) || bad.Line != valid+1 || !errors.Is(err, lottery.BadBirthdate) {
					t.Errorf("the error is %v, expected a RowError of line %d", err, valid+1)
				}
				told := log.with("action: invalid_row | result: fail | client_id: 1 | file: ")
				want := min(invalid, 10)
				if invalid == 1 {
					want = 0 // the failure says it all
				}
				if len(told) != want {
					t.Errorf("%d rows are told, expected %d", len(told), want)
				}
				central.wantUncalled()
			})
		}
	}
}

// Without bets there is no FINISHED, unless AllowEmpty is set.
func TestNothingToSend(t *testing.T) {
	invalid := "Ana,Paz,1,2001-02-29,5\nBeto,Gil,1,2001-02-28,10000\n"
	tests := []struct {
		name, content    string
		skip, allowEmpty bool
		says             string // the error, or empty
	}{
		{"empty", "", false, false, "agency-1.csv has no row, expected one for each bet"},
		{"empty, skip", "", true, false, "has no row"},
		{"only blank lines", "\uFEFF\r\n,,,,\r\n \n\x1a", true, false, "has no row"},
		{"all invalid", invalid, false, false, "2 rows are no valid bets"},
		{"all invalid, allowed to be empty", invalid, false, true, "2 rows are no valid bets"},
		{"all invalid, skip", invalid, true, false, "no row is a valid bet: 2 rows are no valid bets"},
		{"empty and allowed", "", false, true, ""},
		{"blank lines and allowed", "\n,,,,\n", false, true, ""},
		{"all invalid, skip, allowed", invalid, true, true, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			central := &fake{knowsResume: true}
			config := batchConfig(t, central.start(t), nil)
			config.DataDir = writeFile(t, test.content)
			config.SkipInvalid, config.AllowEmpty = test.skip, test.allowEmpty
			log, err := runAgency(t, config)
			if test.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				central.wantFinished(0)
				return
			}
			if err == nil || !contains(err, test.says) || len(log.with("action: read_file | result: fail")) != 1 {
				t.Errorf("the error is %v, expected %q, and one line of it in %q", err, test.says, log.all())
			}
			central.wantUncalled()
		})
	}
}

// Whatever the bytes, nothing panics, errors fit a log line, and a file in which
// another CSV reader finds only valid bets is accepted.
func FuzzFile(f *testing.F) {
	text := strings.Join(sampleRows(3), "\r\n") + "\r\n"
	for _, seed := range []string{
		"", text, "\uFEFF" + text, text + ",,,,\r\n\x1a", strings.ReplaceAll(text, ",", ";"), strings.ReplaceAll(text, "\r\n", "\r"),
		inUTF16(binary.LittleEndian, text), inUTF16(binary.BigEndian, "\uFEFF"+text), inLatin1(strings.ReplaceAll(text, "Ñ", "ñ")),
		"Ana,\"Ruiz\n" + text, "\"Ana \"\"x\"\"\",\"Paz, h.\",1,2000-01-01,0005", "Ana,Ruiz,30.904.465,17/03/1999,7574.0\n", "a,b,,,\n",
		"a,b," + strings.Repeat("6", 2000) + ".,2000-01-01,1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		bets := &fileBets{agency: newAgency(Config{ID: 1}, zerolog.Nop()), ctx: t.Context(), source: source{path: "agency-1.csv"}, rows: newRows(bytes.NewReader(content))}
		bets.entry.raw.Agency = "1"
		taken := uint64(0)
		var err error
		for err == nil {
			if _, err = bets.next(); err == nil {
				taken++
			}
		}
		said := []error{err}
		for _, row := range bets.invalid.first {
			said = append(said, row)
		}
		for _, err := range said {
			if text := err.Error(); len(text) > 2000 || strings.ContainsAny(text, "\r\n\x00\x1a") {
				t.Errorf("said is %d bytes: %.300q", len(text), text)
			}
		}
		if want, valid := validBets(content); valid && (err != io.EOF || bets.invalid.count > 0 || taken != want) {
			t.Errorf("%d bets were taken, expected %d; %d rows are invalid, %v", taken, want, bets.invalid.count, said)
		}
	})
}

// validBets counts the bets of a file, and reports whether it has nothing else.
func validBets(content []byte) (count uint64, valid bool) {
	content = bytes.TrimPrefix(content, []byte(byteOrderMark))
	if bytes.Contains(content, []byte(byteOrderMark)) {
		return 0, false // at the beginning of a row it is a second mark
	}
	r := csv.NewReader(bytes.NewReader(content))
	r.FieldsPerRecord = columns
	for {
		fields, err := r.Read()
		if err == io.EOF {
			return count, true
		}
		if err != nil {
			return 0, false
		}
		raw := lottery.RawBet{Agency: "1", FirstName: fields[0], LastName: fields[1], Document: fields[2], Birthdate: fields[3], Number: fields[4]}
		if _, err := raw.Bet(); err != nil {
			return 0, false
		}
		count++
	}
}
