package natsledger

// tell has f called after what is told already. The caller holds the lock.
func (l *Ledger) tell(f func()) {
	l.tells = append(l.tells, f)
	if l.over {
		if len(l.tells) == 1 {
			go l.callAll()
		}
		return
	}
	select {
	case l.tellUp <- struct{}{}:
	default:
	}
}

// callBack tells what is due, until the ledger lets go. It is the only goroutine
// that does, so what is told is told in its order.
func (l *Ledger) callBack() {
	for {
		select {
		case <-l.tellUp:
			l.callAll()
		case <-l.ctx.Done():
			return
		}
	}
}

func (l *Ledger) callAll() {
	l.mu.Lock()
	for len(l.tells) > 0 {
		tells := l.tells
		l.tells, l.spoken = nil, true
		l.mu.Unlock()
		for _, f := range tells {
			f()
		}
		l.mu.Lock()
	}
	l.spoken = false
	l.idle.Broadcast()
	l.mu.Unlock()
}

// callRest tells what is left when the teller has ended, or comes later: a
// closed ledger has no goroutine of its own.
func (l *Ledger) callRest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if len(l.tells) > 0 {
		go l.callAll()
	}
}
