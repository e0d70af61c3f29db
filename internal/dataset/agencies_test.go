package dataset_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
)

// winningNumber is the number that has won.
const winningNumber = 7574

// maxNumber is the largest number to bet on.
const maxNumber = 9999

// regularsPerMille is how many of a thousand bets are made by someone who has
// already bet at that agency: a person may bet more than once.
const regularsPerMille = 2

// agencies is how many bets each agency has, and how many of them have won.
// Agency N is the one at N-1. These are the sizes of the real data.
var agencies = []struct{ bets, winners int }{
	{26_936, 2},
	{25_518, 3},
	{16_014, 3},
	{9_238, 2},
	{991, 0},
}

func totalBets() int {
	total := 0
	for _, a := range agencies {
		total += a.bets
	}
	return total
}

// file is one agency's file.
type file struct {
	name    string
	content []byte
}

// generate makes the files of all agencies, in their order.
func generate(seed uint64) ([]file, error) {
	census := newCensus()
	files := make([]file, 0, len(agencies))
	for i, a := range agencies {
		// A stream for each agency: changing one leaves the next its names.
		content, err := agencyCSV(newSource(seed, uint64(i+1)), census, a.bets, a.winners)
		if err != nil {
			return nil, fmt.Errorf("making the bets of agency %d: %w", i+1, err)
		}
		files = append(files, file{name: fmt.Sprintf("agency-%d.csv", i+1), content: content})
	}
	return files, nil
}

// agencyCSV makes one agency's bets, exactly winners of them on the winning
// number, each by a person of its own.
//
// encoding/csv quotes like Python's QUOTE_MINIMAL here: they differ on fields
// that are empty, begin with a space or hold a line break, and on `\.`, and
// none of these is ever made.
func agencyCSV(src *source, census *census, bets, winners int) ([]byte, error) {
	wins := src.sample(winners, bets)
	people := make([]person, 0, bets)
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.UseCRLF = true
	for row := range bets {
		var p person
		if !wins[row] && row > 0 && src.chance(regularsPerMille) {
			p = people[src.below(len(people))]
		} else {
			p = census.person(src)
		}
		people = append(people, p)
		number := src.losingNumber()
		if wins[row] {
			number = winningNumber
		}
		if err := w.Write([]string{p.firstName, p.lastName, p.document, p.birthdate, strconv.Itoa(number)}); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return buf.Bytes(), w.Error()
}

// losingNumber is any number but the winning one, each equally likely.
func (s *source) losingNumber() int {
	n := s.below(maxNumber)
	if n >= winningNumber {
		n++
	}
	return n
}
