package lottery_test

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"testing"

	"loteria/lottery"
	"pgregory.net/rapid"
)

func TestAppendRow(t *testing.T) {
	tests := []struct {
		first, last string
		want        string
	}{
		{"Ana", "Paz", "1,Ana,Paz,007,2000-02-29,42\r\n"},
		{"María", "Núñez", "1,María,Núñez,007,2000-02-29,42\r\n"},
		{"a,b", "Paz", "1,\"a,b\",Paz,007,2000-02-29,42\r\n"},
		{`a"b`, `"`, "1,\"a\"\"b\",\"\"\"\",007,2000-02-29,42\r\n"},
		{",", `","`, "1,\",\",\"\"\",\"\"\",007,2000-02-29,42\r\n"},
		{" a ", "O'Hara", "1, a ,O'Hara,007,2000-02-29,42\r\n"},
		{"a\u2028b", ";|", "1,a\u2028b,;|,007,2000-02-29,42\r\n"},
	}
	for _, test := range tests {
		bet := lottery.Bet{Agency: 1, FirstName: test.first, LastName: test.last, Document: "007", Birthdate: "2000-02-29", Number: 42}
		if got := string(bet.AppendRow([]byte("before"))); got != "before"+test.want {
			t.Errorf("the row is\n%q, want\n%q", got, "before"+test.want)
		}
		if got, err := lottery.ParseRow(test.want); err != nil || got != bet {
			t.Errorf("%q was read as %+v, %v", test.want, got, err)
		}
	}
}

func TestLongestRow(t *testing.T) {
	quotes := strings.Repeat(`"`, lottery.MaxName)
	bet := lottery.Bet{Agency: 9_999_999_999, FirstName: quotes, LastName: quotes, Document: "0123456789", Birthdate: "9999-12-31", Number: 9999}
	row := bet.AppendRow(nil)
	if len(row) != lottery.MaxRow {
		t.Errorf("the longest row has %d bytes, MaxRow is %d", len(row), lottery.MaxRow)
	}
	if got, err := lottery.ParseRow(string(row)); err != nil || got != bet {
		t.Errorf("it was read as %+v, %v", got, err)
	}
}

func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bet := anyBet.Draw(rt, "bet")
		row := bet.AppendRow(nil)
		if got, err := lottery.ParseRow(string(row)); err != nil || got != bet {
			t.Fatalf("%+v\nwas written as %q\nand read as %+v, %v", bet, row, got, err)
		}
		if len(row) > lottery.MaxRow {
			t.Fatalf("a row of %d bytes", len(row))
		}
	})
}

//go:embed testdata/not-rows.txt
var notRows string

// otherRows are rows that csv readers take, or that are nearly right; none is
// what AppendRow writes. Their file has a Go string in each line.
var otherRows = func() (rows []string) {
	for line := range strings.Lines(notRows) {
		row, err := strconv.Unquote(strings.TrimSuffix(line, "\n"))
		if err != nil {
			panic(line)
		}
		rows = append(rows, row)
	}
	return rows
}()

func TestParseRowRefuses(t *testing.T) {
	for _, row := range otherRows {
		if bet, err := lottery.ParseRow(row); err == nil {
			t.Errorf("%q was read as %+v", row, bet)
		}
	}
}

// FuzzRow checks that a row that is taken is one that would be written.
func FuzzRow(f *testing.F) {
	for _, row := range otherRows {
		f.Add([]byte(row))
	}
	for _, bet := range anyBets(20) {
		f.Add(bet.AppendRow(nil))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		bet, err := lottery.ParseRow(string(row))
		if err != nil {
			return
		}
		if again := bet.AppendRow(nil); string(again) != string(row) {
			t.Fatalf("%q was read, and is written as %q", row, again)
		}
		raw := bet.RawBet()
		if valid, err := raw.Bet(); err != nil || valid != bet {
			t.Fatalf("%q was read as %+v, which is no valid bet: %v", row, bet, err)
		}
	})
}

func TestParseRows(t *testing.T) {
	const one, two = "1,Ana,Paz,007,2000-02-29,42\r\n", "2,\"a,b\",Paz,8,2000-02-29,7574\r\n"
	tests := []struct {
		rows  string
		sizes []int
		fails bool
	}{
		{"", nil, false},
		{one + two + one, []int{len(one), len(two), len(one)}, false},
		{one + two[:len(two)-1], []int{len(one)}, true},
		{one + "\r\n" + two, []int{len(one)}, true},
		{one + "\n", []int{len(one)}, true},
		{"x" + one + two, nil, true},
	}
	for _, test := range tests {
		var sizes []int
		err := lottery.ParseRows([]byte(test.rows), func(_ lottery.Bet, size int) { sizes = append(sizes, size) })
		if !slices.Equal(sizes, test.sizes) || (err != nil) != test.fails {
			t.Errorf("%q: rows of %v bytes, %v; want %v, an error: %t", test.rows, sizes, err, test.sizes, test.fails)
		}
	}
}
