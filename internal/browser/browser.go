// Package browser starts a headless Chromium: for the tests of the page, for
// pictures of it, and to measure the cost of viewers.
package browser

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/chromedp/chromedp"
)

// ErrNone is Start's error on a machine without Chromium.
var ErrNone = errors.New("there is no Chromium on this machine (Debian: apt-get install chromium)")

// startTime is how long a browser may take to start, also on a busy machine.
const startTime = time.Minute

// Start starts a browser of its own, with an empty tab. The tab is a context of
// package chromedp; further ones are made of it with chromedp.NewContext. stop
// ends the browser and returns when it has ended.
func Start(ctx context.Context) (tab context.Context, stop func(), err error) {
	path, err := find()
	if err != nil {
		return nil, nil, err
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.WSURLReadTimeout(startTime))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it has none for root
	}
	allocator, closeAllocator := chromedp.NewExecAllocator(ctx, options...)
	tab, _ = chromedp.NewContext(allocator)
	stop = func() {
		_ = chromedp.Cancel(tab) // the browser may have ended by itself
		closeAllocator()
	}
	if err := chromedp.Do(tab); err != nil {
		stop()
		return nil, nil, err
	}
	return tab, stop, nil
}

func find() (path string, err error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNone
}
