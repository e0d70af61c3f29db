package natsledger

// tell queues f behind the callbacks that are due. The caller holds the lock.
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

// callBack calls what is due, until the ledger is closed. It is the only goroutine
// that does, so the callbacks come in order.
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

// callRest calls what is left when the teller has ended. What comes later gets a
// goroutine of its own: a closed ledger has none.
func (l *Ledger) callRest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if len(l.tells) > 0 {
		go l.callAll()
	}
}
