package agency

import "time"

// While an answer, or the draw, is waited for, the log says so after
// firstReminder and then every nextReminder.
const (
	firstReminder = 10 * time.Second
	nextReminder  = time.Minute
)

// reminder is when these lines are due.
type reminder struct {
	first, every time.Duration

	since, due time.Time
	forWhat    wait
}

// wait says what the agency waits for.
type wait struct {
	action string // of the log's lines
	what   string
}

// start returns a reminder for a wait that begins now.
func (r reminder) start(forWhat wait) reminder {
	r.forWhat, r.since = forWhat, time.Now()
	r.due = r.since.Add(r.first)
	return r
}

// log writes the line that is due.
func (r *reminder) log(l *link) {
	l.agency.step(l.agency.log.Info(), r.forWhat.action, "in_progress").Str("server_address", l.address).
		Str("waiting_for", r.forWhat.what).Str("since", r.since.Format(time.DateTime)).Send()
	r.due = time.Now().Add(r.every)
}
