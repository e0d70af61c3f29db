package lottery

import "fmt"

// Phase is where a contest stands.
type Phase string

// The phases follow each other in this order, and none is ever left backwards.
const (
	Betting Phase = "betting" // some expected agency has not finished
	Drawing Phase = "drawing" // all have finished, the result is being made durable
	Drawn   Phase = "drawn"   // the winners are known to whoever asks
)

// draw is the state machine of a contest: which agencies have finished, and
// how far the draw is. It is plain data; its contest guards it.
type draw struct {
	phase    Phase
	finished []bool // of agency i+1
	missing  int    // how many have not
}

func newDraw(agencies int) draw {
	return draw{phase: Betting, finished: make([]bool, agencies), missing: agencies}
}

// finish notes that an agency has said FINISHED, and reports whether that was
// news: saying it again changes nothing. The last one starts the draw.
func (d *draw) finish(agency int) (news bool) {
	if d.finished[agency-1] {
		return false
	}
	d.finished[agency-1] = true
	d.missing--
	if d.missing == 0 {
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
