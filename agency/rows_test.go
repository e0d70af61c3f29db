package agency

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// readRows returns rows and errors, one text for each.
func readRows(source io.Reader) (all []string, err error) {
	rows := newRows(source)
	var r row
	for {
		err := rows.next(&r)
		if err == io.EOF {
			return all, nil
		}
		if bad := badRow(""); errors.As(err, &bad) {
			all = append(all, fmt.Sprintf("%d: %v", r.line, bad))
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, fmt.Sprintf("%d: %q", r.line, r.fields))
	}
}

func TestRows(t *testing.T) {
	const abcde = `["a" "b" "c" "d" "e"]`
	long := strings.Repeat("x", maxRow)
	tests := []struct {
		name, file string
		want       []string
	}{
		{"empty", "", nil},
		{"only a mark", "\uFEFF", nil},
		{"only line breaks", "\n\r\n\n", nil},
		{"only CR", "\r", nil},
		{"one", "a,b,c,d,e\n", []string{"1: " + abcde}},
		{"no final break (pitfall 1)", "a,b,c,d,e", []string{"1: " + abcde}},
		{"CR at the end", "a,b,c,d,e\r", []string{"1: " + abcde}},
		{"mixed breaks", "a,b,c,d,e\r\na,b,c,d,e\n\na,b,c,d,e", []string{"1: " + abcde, "2: " + abcde, "4: " + abcde}},
		{"mark", "\uFEFFa,b,c,d,e", []string{"1: " + abcde}},
		{"mark and quote", "\uFEFF\"a\",b,c,d,e", []string{"1: " + abcde}},
		{"quotes", "\"a\",\"b\",\"c\",\"d\",\"e\"\r\n\"a\",b,c,d,\"e\"\n\"a\",b,c,d,\"e\"\r", []string{"1: " + abcde, "2: " + abcde, "3: " + abcde}},
		{"quoted", "\"a,\"\"x\"\"\",\"\",\"\"\"\",d,e\n", []string{`1: ["a,\"x\"" "" "\"" "d" "e"]`}},
		{"line break in quotes", "\"a\nx\r\ny\",b,c,d,e\na,b,c,d,e", []string{`1: ["a\nx\r\ny" "b" "c" "d" "e"]`, "4: " + abcde}},
		{"empty cells", "a,b,c,d,e\n,,,,\r\n,,\n \t\na,b,c,d,e\n,,,,", []string{"1: " + abcde, "5: " + abcde}},
		{"one field that is not empty", ",,,,e\n", []string{`1: ["" "" "" "" "e"]`}},
		{"Ctrl-Z at the end", "a,b,c,d,e\r\n\x1a", []string{"1: " + abcde}},
		{"Ctrl-Z and empty lines at the end", "a,b,c,d,e\r\n\x1a\r\n\n", []string{"1: " + abcde}},
		{"Ctrl-Z behind the last row", "a,b,c,d,e\x1a", []string{"1: " + abcde}},
		{"Ctrl-Z behind a quoted row", `a,b,c,d,"e"` + "\x1a\n", []string{"1: " + abcde}},
		{"several Ctrl-Z", "a,b,c,d,e\r\n\x1a\x1a\x1a", []string{"1: " + abcde}},
		{"several Ctrl-Z behind the last row", "a,b,c,d,e\x1a\x1a", []string{"1: " + abcde}},
		{"only Ctrl-Z", "\x1a", nil},
		{"Ctrl-Z in the middle", "a,b,c,d,e\n\x1a\na,b,c,d,e\x1a\na,b,c,d,e", []string{"1: " + abcde, "2: " + string(middleEnd), "3: " + string(middleEnd), "4: " + abcde}},
		{"marks in the middle", "\uFEFF\uFEFFa,b,c,d,e\n\uFEFF\"a\",b,c,d,e\na,b,c,d,e", []string{"1: " + string(secondMark), "2: " + string(secondMark), "3: " + abcde}},
		{"spaces are part of the field", " a,b , c,d,e\n", []string{`1: [" a" "b " " c" "d" "e"]`}},
		{"CR within", "a\rx,b,c,d,e\n", []string{`1: ["a\rx" "b" "c" "d" "e"]`}},
		{"few", "a,b,c,d\na,b,c,d,e", []string{"1: " + checkCount(4).Error(), "2: " + abcde}},
		{"many", "\"a\",b,c,d,e,f,g\na,b,c,d,e", []string{"1: " + checkCount(7).Error(), "2: " + abcde}},
		{"stray quote", "a\"x,b,c,d,e\na,b,c,d,e", []string{"1: " + string(strayQuote), "2: " + abcde}},
		{"stray quote at the end", "a,b,c,d,e\"", []string{"1: " + string(strayQuote)}},
		{"after a quote", "\"a\"x,b,c,d,e\na,b,c,d,e", []string{"1: " + string(afterQuote), "2: " + abcde}},
		{"CR after a quote", "\"a\"\rx,b,c,d,e\na,b,c,d,e", []string{"1: " + string(afterQuote), "2: " + abcde}},
		{"not closed", "a,b,c,d,e\na,\"b,c,d,e\na,b,c,d,e\n", []string{"1: " + abcde, "2: " + notClosed("b,c,d,e", 2), "3: " + abcde}},
		{"not closed at the end", "a,b,c,d,\"e", []string{"1: " + notClosed("e", 1)}},
		{"not closed on a later line", "\"a\nx\",\"b,c,d,e\n", []string{"1: " + notClosed("b,c,d,e", 2), "2: " + string(strayQuote)}},
		{"closed by the next one that opens", "a,\"b,c,d,e\na,b,c,d,e\na,\"b\",c,d,e\n", []string{"1: " + notClosed("b,c,d,e", 1), "2: " + abcde, "3: " + abcde}},
		{"not closed within a row's length", "\"a,b,c,d,e\n" + strings.Repeat("a,b,c,d,e\n", 500) + "\"",
			append(append([]string{"1: " + notClosed("a,b,c,d,e", 1)}, numbered(2, 500, abcde)...), "502: "+notClosed("", 502))},
		{"too long", long + ",b,c,d,e\na,b,c,d,e", []string{"1: the row has more than 4096 bytes", "2: " + abcde}},
		{"much too long", strings.Repeat(long, 100) + "\na,b,c,d,e", []string{"1: the row has more than 4096 bytes", "2: " + abcde}},
		{"too long at the end", strings.Repeat(long, 100), []string{"1: the row has more than 4096 bytes"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for name, source := range map[string]io.Reader{
				"whole":        strings.NewReader(test.file),
				"byte by byte": iotest.OneByteReader(strings.NewReader(test.file)),
				"end at once":  iotest.DataErrReader(strings.NewReader(test.file)),
			} {
				got, err := readRows(source)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("%s: got %.300q, expected %.300q", name, got, test.want)
				}
			}
		})
	}
}

func notClosed(text string, line int) string {
	return fmt.Sprintf("the quote before %q in line %d is not closed", text, line)
}

func numbered(first, count int, text string) (all []string) {
	for i := range count {
		all = append(all, fmt.Sprint(first+i, ": ", text))
	}
	return all
}

// Wherever the blocks of a file end, the rows are the same, and those that another
// CSV reader finds.
func TestRowsAcrossBlocks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "ñ", ",", `"`, "\n", "\r\n", " ", "xyz"}
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	for range 5000 { // several blocks
		fields := make([]string, columns)
		for i := range fields {
			fields[i] = "f"
			for range random.IntN(6) {
				fields[i] += pieces[random.IntN(len(pieces))]
			}
		}
		if err := w.Write(fields); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	var want []string
	r := csv.NewReader(bytes.NewReader(file.Bytes()))
	for {
		fields, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%q", fields))
	}
	for shift := range 3 {
		// Empty lines in front move the blocks' ends.
		got, err := readRows(io.MultiReader(strings.NewReader(strings.Repeat("\n", shift)), &bytesOf{file.Bytes()}))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d rows, expected %d", len(got), len(want))
		}
		for i := range got {
			_, fields, _ := strings.Cut(got[i], ": ")
			// encoding/csv makes every CR LF within quotes a LF.
			if strings.ReplaceAll(fields, `\r\n`, `\n`) != want[i] {
				t.Fatalf("row %d is %s, expected %s", i, fields, want[i])
			}
		}
	}
}

type bytesOf struct{ b []byte }

func (r *bytesOf) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// An error of the source is no end of the file, whatever it is called.
func TestRowsSourceFails(t *testing.T) {
	for _, failure := range []error{errors.New("disk on fire"), io.ErrUnexpectedEOF} {
		got, err := readRows(io.MultiReader(strings.NewReader("a,b,c,d,e\n"), iotest.ErrReader(failure)))
		if err != failure {
			t.Errorf("got %q, %v, expected %v", got, err, failure)
		}
	}
}

// Reading costs memory for each block of a file, not for each row.
func TestRowsAllocateByBlock(t *testing.T) {
	file := strings.Repeat("Santiago Lionel,Lorca,30904465,1999-03-17,2201\r\n", 50_000)
	allocated := testing.AllocsPerRun(1, func() {
		rows, r := newRows(strings.NewReader(file)), row{}
		for rows.next(&r) == nil {
		}
	})
	if blocks := float64(len(file)/readSize + 1); allocated > 2*blocks+10 {
		t.Errorf("%v allocations for %v blocks", allocated, blocks)
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte("a,b,c,d,e\r\n\"a\"\"\",\"b\n\",c,d,e\n"), 7)
	f.Add([]byte("a,\"b,c,d,e\na,b\"c,d,e\n\"a\"b"), 1)
	f.Fuzz(func(t *testing.T, file []byte, size int) {
		whole, err := readRows(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		pieces, err := readRows(iotest.HalfReader(bytes.NewReader(file)))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(whole, pieces) {
			t.Errorf("read whole %q, in pieces %q", whole, pieces)
		}
		if lines := bytes.Count(file, []byte("\n")) + 1; len(whole) > lines {
			t.Errorf("%d rows in %d lines", len(whole), lines)
		}
	})
}
