package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"loteria/cmd/internal/progress"
	"loteria/lottery"
)

const (
	// maxListed bounds the winners in the table; the others are counted.
	maxListed = 200
	// winnerGap is the space between two columns of the table.
	winnerGap = 4
)

// winnerList collects the winners.
type winnerList struct {
	listed []string
	count  int
}

func (w *winnerList) add(documents []string) {
	w.count += len(documents)
	for _, document := range documents[:min(len(documents), maxListed-len(w.listed))] {
		w.listed = append(w.listed, shortDocument(document))
	}
}

// shortDocument returns a DNI from a central in printable form, as a copy that
// keeps no other memory alive.
func shortDocument(document string) string {
	document = progress.Printable(document)
	if utf8.RuneCountInString(document) > lottery.MaxDocument {
		document = string([]rune(document)[:lottery.MaxDocument]) + "…"
	}
	return strings.Clone(document)
}

// table lists the winners, numbered, down as many columns as fit a terminal of
// this width.
func (w *winnerList) table(agency string, width int) string {
	var text strings.Builder
	if w.count == 0 {
		fmt.Fprintf(&text, "\n%s has no winners.\n", agency)
		return text.String()
	}
	fmt.Fprintf(&text, "\nwinners of %s: %s\n\n", agency, progress.Number(uint64(w.count)))
	digits := len(fmt.Sprint(len(w.listed)))
	longest := 0
	for _, document := range w.listed {
		longest = max(longest, utf8.RuneCountInString(document))
	}
	cell := winnerGap + digits + len("  ") + longest
	columns := min(max(1, width/cell), len(w.listed))
	rows := (len(w.listed) + columns - 1) / columns
	for row := range rows {
		for i := row; i < len(w.listed); i += rows {
			last := i+rows >= len(w.listed)
			pad := longest - utf8.RuneCountInString(w.listed[i])
			if last {
				pad = 0
			}
			fmt.Fprintf(&text, "%*s%*d  %s%*s", winnerGap, "", digits, i+1, w.listed[i], pad, "")
		}
		text.WriteByte('\n')
	}
	if more := w.count - len(w.listed); more > 0 {
		fmt.Fprintf(&text, "\nand %s more; --no-progress logs each\n", progress.Number(uint64(more)))
	}
	return text.String()
}

func agencyName(id int) string { return fmt.Sprintf("agency %d", id) }
