package reading_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"loteria/cluster/natstest"
	"loteria/lottery"
	"loteria/lottery/natsledger"
)

// A read during writes returns the contest as it was at some time since the read
// began.
func TestReadWhileSomebodyWrites(t *testing.T) {
	c := natstest.Start(t, 1)
	w := newWriter(t, c, 10)
	conf := config(t, c, 10)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				w.bets(1+i%10, 20)
			}
		}
	})
	var exports []string
	last := uint64(0)
	for range 8 {
		var export bytes.Buffer
		report, err := exportTo(patient(t), conf, &export)
		if err != nil {
			t.Error(err)
			break
		}
		if report.Messages < last || report.Rows != 20*report.Messages {
			t.Errorf("%d messages with %d rows, after %d messages", report.Messages, report.Rows, last)
		}
		last = report.Messages
		exports = append(exports, export.String())
	}
	close(stop)
	writing.Wait()
	for i, export := range exports {
		if len(export) > w.export.Len() || w.export.String()[:len(export)] != export {
			t.Errorf("export %d has %d bytes that are not the first of those that were written", i, len(export))
		}
	}
}

// The leader dies in the middle of an export: the rest comes from the others,
// each row once. The server whose consumer is read may be the one that dies.
func TestReadWhileServersDie(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	w := newWriter(t, c, 10)
	conf := config(t, c, 10)
	whole(w, 300)
	c.WaitCurrent(stream)
	leader := c.StreamLeader(patient(t), stream)
	var export bytes.Buffer
	stretches := 0
	reached, killed := make(chan struct{}), make(chan struct{})
	var killing sync.WaitGroup
	killing.Go(func() {
		<-reached
		defer close(killed)
		c.Kill(leader)
	})
	report, err := natsledger.Read(patient(t), conf, func(s lottery.Stretch) error {
		if stretches++; stretches == 10 {
			close(reached)
			<-killed
		}
		export.Write(s.Rows)
		return nil
	})
	killing.Wait()
	if err != nil || export.String() != w.export.String() || len(report.Damaged) > 0 {
		t.Errorf("%d bytes, want %d; damaged %v, %v", export.Len(), w.export.Len(), report.Damaged, err)
	}
	// Without a quorum it is unknown whether that is all.
	c.Kill((leader + 1) % 3)
	ctx, cancel := context.WithTimeout(t.Context(), 4*attempt)
	defer cancel()
	_, err = natsledger.Read(ctx, conf, func(lottery.Stretch) error { return nil })
	var damage *natsledger.DamageError
	if errors.As(err, &damage) {
		t.Errorf("%v, although two of three servers are down", err)
	}
	t.Log(err)
}

func TestNoSuchContest(t *testing.T) {
	c := natstest.Start(t, 1)
	conf := config(t, c, 10)
	if _, err := natsledger.Read(patient(t), conf, nil); err == nil {
		t.Error("a contest that does not exist was read")
	} else if want := "there is no contest " + conf.Contest; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, expected %q", err, want)
	}
}

// While one server is down, the other two copies are still checked.
func TestCheckWithoutAServer(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	w := newWriter(t, c, 10)
	w.bets(1, 20)
	c.WaitCurrent(stream)
	c.Kill(2)
	report, err := natsledger.Check(patient(t), config(t, c, 10))
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Copies) != 3 {
		t.Fatalf("it tells of the copies %+v, expected three", report.Copies)
	}
	for _, have := range report.Copies {
		if (have.Unread != nil) != (have.Server == c.Name(2)) || have.Missing > 0 {
			t.Errorf("%+v, and %s is down", have, c.Name(2))
		}
	}
}

// Broken connections lose messages in flight, which is no damage.
func TestReadOverBrokenConnections(t *testing.T) {
	c := natstest.Start(t, 1)
	w := newWriter(t, c, 10)
	whole(w, 300)
	var export bytes.Buffer
	stretches := 0
	report, err := natsledger.Read(patient(t), config(t, c, 10), func(s lottery.Stretch) error {
		if stretches++; stretches == 5 || stretches == 100 || stretches == 300 {
			c.DropAllClients()
		}
		export.Write(s.Rows)
		return nil
	})
	if err != nil || export.String() != w.export.String() || len(report.Damaged) > 0 {
		t.Errorf("%d bytes, want %d; damaged %v, %v", export.Len(), w.export.Len(), report.Damaged, err)
	}
}

// Without a quorum a check ends by itself, and says what is missing. The remaining
// server answers questions about the stream for a while.
func TestCheckWithoutQuorum(t *testing.T) {
	t.Parallel()
	c := natstest.Start(t, 3)
	w := newWriter(t, c, 10)
	w.bets(1, 20)
	c.WaitCurrent(stream)
	c.Kill(0)
	c.Kill(1)
	if _, err := natsledger.Check(patient(t), config(t, c, 10)); err == nil || !strings.Contains(err.Error(), "most of its servers have to run") {
		t.Errorf("%v, although two of three servers are down", err)
	}
}
