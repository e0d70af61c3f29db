package lottery

// DateExists reports whether a date is one of the calendar.
var DateExists = dateExists

// From returns the bets of the batch from the i-th on, for the ledger.
func (b *Batch) From(i int) Stretch { return b.from(i) }

// HasPosition reports whether the batch was given a position.
func (b *Batch) HasPosition() bool { return b.positionKnown }
