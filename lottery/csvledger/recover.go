package csvledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"

	"loteria/lottery"
)

// recovery is what a scan of a whole ledger found.
type recovery struct {
	rows  int
	whole int64 // bytes of the rows before the first bad one
	torn  int64 // bytes after them, which a crash explains
}

// recoverLedger reads the ledger in the first size bytes of f, which may grow
// meanwhile, and calls visit for its stretches in order. Rows are parsed in
// parallel, a block at a time; a few blocks per processor are in memory. durable is
// how many bytes are known to have been on disk. The error is a *DamageError, or
// one of reading or visit.
func recoverLedger(f *os.File, size, durable int64, visit func(lottery.Stretch) error) (recovery, error) {
	var found recovery
	path := f.Name()
	reason, err := scanBlocks(io.NewSectionReader(f, 0, size), path, &found, visit)
	if err != nil {
		return found, err
	}
	if size < durable && reason == "" && found.whole == size {
		return found, &DamageError{path, found.rows + 1, size, fmt.Sprintf("rows are missing: the file ends here, and its first %d bytes were on disk; "+
			"it was cut or replaced: restore it as docs/operators.md says", durable)}
	}
	torn := size - found.whole
	if torn == 0 {
		return found, nil
	}
	tail := make([]byte, min(torn, maxTail))
	if _, err := f.ReadAt(tail, found.whole); err != nil {
		return found, fmt.Errorf("read %s: %w", path, err)
	}
	if cannot := tornReason(tail, found.whole, durable); cannot != "" {
		if reason == "" {
			reason = "the row is not finished"
		}
		return found, &DamageError{path, found.rows + 1, found.whole, reason + "; " + cannot}
	}
	found.torn = torn
	return found, nil
}

// readAccounts recovers the ledger in f, calls visit for its stretches in order,
// and returns the accounts of its agencies; most is the highest agency allowed.
func readAccounts(f *os.File, durable int64, most int, visit func(lottery.Stretch) error) (accounts []lottery.Account, found recovery, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, found, err
	}
	rows := 0 // before the stretch
	found, err = recoverLedger(f, size, durable, func(s lottery.Stretch) error {
		if s.Agency > most {
			return fmt.Errorf("%s: line %d: it holds bets of agency %d, expected are 1 to %d", f.Name(), rows+1, s.Agency, most)
		}
		rows += s.Bets
		for len(accounts) < s.Agency {
			accounts = append(accounts, lottery.NewAccount())
		}
		a := &accounts[s.Agency-1]
		a.Add(&s)
		a.Mark += lottery.Mark(s.Bets)
		return visit(s)
	})
	return accounts, found, err
}

// maxTail is how much of a torn tail is looked at, in bytes. Longer runs of zeros
// are taken for a crash's wherever they end.
const maxTail = 64 << 20

// scanBlocks visits the stretches before the first bad row, and returns what is
// wrong with that row, or "" at the end of the rows.
func scanBlocks(f *io.SectionReader, path string, found *recovery, visit func(lottery.Stretch) error) (reason string, err error) {
	workers := runtime.GOMAXPROCS(0)
	blocks := make([]parsedBlock, 2*workers)
	free := make(chan *parsedBlock, len(blocks))
	for i := range blocks {
		blocks[i].size = int(min(blockSize, f.Size()+int64(lottery.MaxRow)+1))
		blocks[i].done = make(chan struct{}, 1)
		free <- &blocks[i]
	}
	parse := make(chan *parsedBlock, len(blocks))
	order := make(chan *parsedBlock, len(blocks))
	stop := make(chan struct{})

	var running sync.WaitGroup
	defer running.Wait()
	defer close(stop)
	for range workers {
		running.Go(func() {
			for b := range parse {
				b.parse()
				b.done <- struct{}{}
			}
		})
	}
	running.Go(func() {
		defer close(parse)
		defer close(order)
		reader := blockReader{r: f, path: path}
		for {
			select {
			case <-stop:
				return
			case b := <-free:
				b.text, b.err = reader.next(b.memory())
				order <- b
				if b.err != nil {
					return
				}
				parse <- b
			}
		}
	})

	for b := range order {
		if b.err != nil {
			if errors.Is(b.err, errNotARow) {
				return b.err.Error(), nil
			}
			if errors.Is(b.err, io.EOF) {
				return "", nil
			}
			return "", b.err
		}
		<-b.done
		for _, s := range b.stretches {
			if err := visit(s); err != nil {
				return "", err
			}
			found.rows += s.Bets
			found.whole += int64(len(s.Rows))
		}
		if b.reason != "" {
			return b.reason, nil
		}
		free <- b
	}
	return "", nil
}

// parsedBlock is a block of the ledger on its way through the workers. It
// belongs to the reader, then to a worker, then, after done, to the visitor.
type parsedBlock struct {
	size      int // of the buffer, once it is needed
	buffer    []byte
	text      []byte
	err       error // of reading
	stretches []lottery.Stretch
	reason    string // what is wrong with the row after them
	done      chan struct{}
}

func (b *parsedBlock) memory() []byte {
	if b.buffer == nil {
		b.buffer = make([]byte, 0, b.size)
	}
	return b.buffer
}

func (b *parsedBlock) parse() {
	b.stretches, b.reason = b.stretches[:0], ""
	start := 0
	err := lottery.ParseRows(b.text, func(bet lottery.Bet, size int) {
		b.add(&bet, start, size)
		start += size
	})
	if err != nil {
		b.reason = err.Error()
	}
}

func (b *parsedBlock) add(bet *lottery.Bet, start, size int) {
	if n := len(b.stretches); n == 0 || b.stretches[n-1].Agency != bet.Agency {
		b.stretches = append(b.stretches, lottery.Stretch{Agency: bet.Agency, Rows: b.text[start:start]})
	}
	s := &b.stretches[len(b.stretches)-1]
	s.Bets++
	s.Rows = s.Rows[:len(s.Rows)+size]
	if bet.HasWon() {
		s.Winners = append(s.Winners, strings.Clone(bet.Document))
	}
}
