package report

import (
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []int
		want   int
	}{{[]int{7}, 7}, {[]int{3, 1, 2}, 2}, {[]int{4, 1}, 4}, {[]int{5, 5, 1, 9, 2}, 5}} {
		before := append([]int(nil), test.values...)
		if got := Median(test.values); got != test.want {
			t.Errorf("the median of %v is %d, expected %d", before, got, test.want)
		}
		for i := range before {
			if test.values[i] != before[i] {
				t.Fatalf("%v has become %v", before, test.values)
			}
		}
	}
	if got := Median([]time.Duration{3, 1, 2}); got != 2 {
		t.Errorf("the median is %v", got)
	}
}

func TestQuartiles(t *testing.T) {
	for _, test := range []struct {
		values            []float64
		low, middle, high float64
	}{
		{[]float64{7}, 7, 7, 7},
		{[]float64{2, 1}, 1, 2, 2},
		{[]float64{5, 1, 4, 2, 3}, 2, 3, 4},
		{[]float64{8, 7, 6, 5, 4, 3, 2, 1}, 3, 5, 7},
	} {
		low, middle, high := Quartiles(test.values)
		if low != test.low || middle != test.middle || high != test.high {
			t.Errorf("the quartiles of %v are %v, %v and %v, expected %v, %v and %v", test.values, low, middle, high, test.low, test.middle, test.high)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 4500000.9: "4,500,000"} {
		if got := Grouped(n); got != want {
			t.Errorf("%v is %q, expected %q", n, got, want)
		}
	}
}

func TestWriteTable(t *testing.T) {
	var text strings.Builder
	if err := WriteTable(&text, []string{"a", "b"}, [][]string{{"1", "2"}, {"3", "4"}}); err != nil {
		t.Fatal(err)
	}
	if want := "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n"; text.String() != want {
		t.Errorf("the table is\n%s, expected\n%s", text.String(), want)
	}
}

func TestMachine(t *testing.T) {
	text := Machine(t.TempDir())
	for _, part := range []string{" × ", "GiB", "Linux", " on ", "go1.", "commit "} {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in %q", part, text)
		}
	}
}
