package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
	"loteria/codec"
	"loteria/lottery"
)

const (
	// pace is the pause between two batches of an agency, so that the smallest
	// have finished and the largest sends when the picture is taken.
	pace = "100ms"
	// finishedEnough is how many agencies of five have finished then.
	finishedEnough = "3"
	// lively is how long the curves have been drawn then.
	lively = 20 * time.Second
	// limit is how long all of that may take.
	limit = 5 * time.Minute
)

// picturePage returns a picture of the page in the middle of a lottery, with a
// refused batch.
func picturePage(ctx context.Context, v *viewer, bin, data string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	run := exec.CommandContext(ctx, filepath.Join(bin, "run"), "--bin", bin, "--data", data, "--admin", admin, "--loop-period", pace)
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	output, err := run.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := run.Start(); err != nil {
		return nil, err
	}
	defer func() {
		cancel()
		_ = run.Wait() // it was ended in the middle
	}()
	lines := bufio.NewScanner(output)
	central := ""
	for central == "" && lines.Scan() {
		_, central, _ = strings.Cut(lines.Text(), "listening on ")
	}
	if central == "" {
		return nil, errors.New("the central never said where it listens")
	}
	go func() {
		for lines.Scan() {
		}
	}()
	if err := v.open("http://"+admin, 900, 1000); err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := beRefused(central); err != nil {
		return nil, err
	}
	for {
		shown, err := chromedp.Run(v.tab, chromedp.Evaluate[string](`document.getElementById("countdown").innerText`))
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(shown, finishedEnough+" of 5") && time.Since(begun) > lively {
			return v.picture("body")
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the page never said that %s of 5 agencies have finished, but %q", finishedEnough, shown)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// beRefused sends a batch with a number that there is not.
func beRefused(central string) error {
	conn, err := net.Dial("tcp", central)
	if err != nil {
		return err
	}
	defer conn.Close()
	frame, err := codec.AppendFrame(nil, &codec.Batch{RawBets: []lottery.RawBet{{
		Agency: "4", FirstName: "Santiago", LastName: "Lorca", Document: "30904465", Birthdate: "1999-03-17", Number: "75740",
	}}})
	if err != nil {
		return err
	}
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// freeAddress returns an address of this machine at which nobody listens.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
