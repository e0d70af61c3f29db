package docs_test

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
	"loteria/codec"
	"loteria/internal/process/processtest"
	"loteria/lottery"
)

// moment is when the picture is taken.
type moment struct {
	pace string        // the pause between two batches of an agency
	said string        // the finished agencies on the page; empty: anything shown will do
	age  time.Duration // how long it has been open by then
}

var (
	// lively is when the smallest agencies have finished and the largest send.
	lively = moment{"100ms", "3 of 5", 20 * time.Second}
	// hasty is when anything is visible.
	hasty = moment{"10ms", "", 0}
)

// pictureLimit is how long one picture may take.
const pictureLimit = 5 * time.Minute

// page returns a picture of the page in the middle of a lottery, with a refused
// batch.
func (v *viewer) page(when moment) []byte {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.Context(), pictureLimit)
	defer cancel()
	admin := processtest.FreeAddress(v)
	run := v.run(ctx, "--admin", admin, "--loop-period", when.pace, "--stay")
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	p := processtest.Start(v, run, nil)
	defer func() {
		cancel() // in the middle
		<-p.Ended()
	}()
	const listens = "listening on "
	_, central, _ := strings.Cut(p.Await(listens), listens)
	v.open("http://"+admin, 900, 1000)
	begun := time.Now()
	v.beRefused(central)
	for {
		said, err := chromedp.Run(v.tab, chromedp.Evaluate[string](`document.getElementById("countdown").innerText`))
		if err != nil {
			v.Fatal(err)
		}
		if said != "" && strings.Contains(said, when.said) && time.Since(begun) >= when.age {
			return v.picture("body")
		}
		select {
		case <-ctx.Done():
			v.Fatalf("the page never said %q, but %q", when.said, said)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// beRefused sends a batch with an invalid number.
func (v *viewer) beRefused(central string) {
	v.Helper()
	frame, err := codec.AppendFrame(nil, &codec.Batch{RawBets: []lottery.RawBet{{
		Agency: "4", FirstName: "Santiago", LastName: "Lorca", Document: "30904465", Birthdate: "1999-03-17", Number: "75740",
	}}})
	if err != nil {
		v.Fatal(err)
	}
	conn, err := net.Dial("tcp", central)
	if err != nil {
		v.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Write(frame)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil {
		v.Fatal(err)
	}
}
