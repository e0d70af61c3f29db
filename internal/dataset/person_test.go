package dataset_test

import (
	"fmt"
	"strconv"
	"time"
)

// person is a bettor.
type person struct {
	firstName string
	lastName  string
	document  string // DNI, 7 or 8 digits
	birthdate string // YYYY-MM-DD
}

// How many of a thousand people have something unusual.
const (
	onlySecondPerMille  = 40  // a second first name that nobody has alone: María José
	secondNamePerMille  = 550 // of the others: any second first name
	secondLastPerMille  = 90  // a second last name
	nicknamePerMille    = 4   // a nickname between quotes: Juan "Tito"
	suffixPerMille      = 4   // something after a comma: Gómez, h.
	leadingZeroPerMille = 100 // of the DNIs with seven digits: written with eight
)

// Everybody is an adult, born from firstBirth to before lastBirth. The dates
// are fixed: the data must not change with the day it is made on.
var (
	firstBirth = time.Date(1936, time.January, 1, 0, 0, 0, 0, time.UTC)
	lastBirth  = time.Date(2007, time.January, 1, 0, 0, 0, 0, time.UTC)
)

const day = 24 * time.Hour

// documentSpread is how far a DNI may be from the usual one of its year, in
// either direction.
const documentSpread = 450_000

// usualDocuments is about which DNI a person born at the beginning of the year
// has. DNIs are given out in order, so young people have high ones.
var usualDocuments = []struct{ year, document int }{
	{1936, 1_500_000},
	{1945, 5_300_000},
	{1955, 11_300_000},
	{1965, 17_300_000},
	{1975, 24_300_000},
	{1985, 31_400_000},
	{1995, 38_700_000},
	{2007, 47_700_000},
}

// census makes people, no two of them with the same DNI.
type census struct{ taken map[int]bool }

func newCensus() *census { return &census{taken: make(map[int]bool)} }

// person makes somebody new.
func (c *census) person(src *source) person {
	given := femaleNames
	if src.below(2) == 0 {
		given = maleNames
	}
	born := firstBirth.Add(time.Duration(src.below(int(lastBirth.Sub(firstBirth)/day))) * day)
	return person{
		firstName: firstName(src, given),
		lastName:  lastName(src),
		document:  c.document(src, born),
		birthdate: born.Format(time.DateOnly),
	}
}

func firstName(src *source, given givenNames) string {
	name := src.pickCommon(given.names)
	switch {
	case src.chance(onlySecondPerMille):
		name += " " + src.pick(given.seconds)
	case src.chance(secondNamePerMille):
		if second := src.pickCommon(given.names); second != name {
			name += " " + second
		}
	}
	if src.chance(nicknamePerMille) {
		name = fmt.Sprintf(`%s "%s"`, name, src.pick(nicknames))
	}
	return name
}

func lastName(src *source) string {
	name := src.pickCommon(lastNames)
	if src.chance(secondLastPerMille) {
		name += " " + src.pickCommon(lastNames)
	}
	if src.chance(suffixPerMille) {
		name += ", " + src.pick(suffixes)
	}
	return name
}

// document returns an unused DNI, near the usual one for the birthdate.
func (c *census) document(src *source, born time.Time) string {
	usual := usualDocument(born)
	n := usual - documentSpread + src.below(2*documentSpread)
	for c.taken[n] {
		n = usual - documentSpread + src.below(2*documentSpread)
	}
	c.taken[n] = true
	if n < 10_000_000 && src.chance(leadingZeroPerMille) {
		return fmt.Sprintf("%08d", n)
	}
	return strconv.Itoa(n)
}

// usualDocument goes straight from one of usualDocuments to the next. It
// counts in days: a DNI is the same whole number on every machine.
func usualDocument(born time.Time) int {
	i := 0
	for i < len(usualDocuments)-2 && born.Year() >= usualDocuments[i+1].year {
		i++
	}
	from, to := usualDocuments[i], usualDocuments[i+1]
	begin := time.Date(from.year, time.January, 1, 0, 0, 0, 0, time.UTC)
	end := time.Date(to.year, time.January, 1, 0, 0, 0, 0, time.UTC)
	passed, span := int(born.Sub(begin)/day), int(end.Sub(begin)/day)
	return from.document + (to.document-from.document)*passed/span
}
