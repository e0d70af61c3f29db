package lottery

import "fmt"

// Phase is where a contest stands.
type Phase string

// The phases follow each other in this order, and none is ever left backwards.
const (
	Betting Phase = "betting" // some expected agency is still to finish
	Drawing Phase = "drawing" // none is, and the result is being made durable
	Drawn   Phase = "drawn"   // the winners are known to whoever asks
)

// ending is how an agency's betting has ended.
type ending uint8

const (
	open     ending = iota // it has not
	finished               // the agency has said FINISHED
	missing                // an operator has, in its place
)

// draw is the state machine of a contest: which agencies are done, and how far
// the draw is. It is plain data; its contest guards it.
type draw struct {
	phase   Phase
	endings []ending // of agency i+1
	open    int      // how many are
}

func newDraw(agencies int) draw {
	return draw{phase: Betting, endings: make([]ending, agencies), open: agencies}
}

// end notes how an agency's betting has ended, and reports whether that was
// news: the first ending stays. The last one starts the draw.
func (d *draw) end(agency int, how ending) (news bool) {
	if d.endings[agency-1] != open {
		return false
	}
	d.endings[agency-1] = how
	d.open--
	if d.open == 0 {
		d.phase = Drawing
	}
	return true
}

// complete ends the draw.
func (d *draw) complete() {
	if d.phase != Drawing {
		panic(fmt.Sprintf("lottery: a draw was completed while %s", d.phase))
	}
	d.phase = Drawn
}

// with returns the agencies whose betting has ended so, ascending.
func (d *draw) with(how ending) []int {
	agencies := []int{}
	for i, ending := range d.endings {
		if ending == how {
			agencies = append(agencies, i+1)
		}
	}
	return agencies
}
