package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/sync/errgroup"
	"loteria/bench/process"
	"loteria/bench/report"
	"loteria/internal/browser"
)

// The observers of the central.
const (
	browsers      = 3
	scrapeEvery   = time.Second
	watchedRounds = 3 // pairs of loads per round, because the difference is small
)

// watched measures what it costs to watch a central: the throughput of agencies
// with a window while its metrics are scraped every second and its page is open
// in three browsers on the same machine, divided by that of an unwatched central.
// The browsers run all the time.
func watched(l *lab) ([]row, error) {
	const goal = 0.98
	what := fmt.Sprintf("agencies with a window, while metrics are scraped every second and the page is open in %d browsers, to unwatched", browsers)
	viewers, closeViewers, err := openBrowsers(l.Ctx)
	if errors.Is(err, browser.ErrNone) {
		return []row{{what, "≥ 98 %", "not measured", "there is no Chromium"}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer closeViewers()
	var ratios []float64
	for round := range watchedRounds {
		err := l.Repeat(fmt.Sprintf("watched and not, %d of %d", round+1, watchedRounds), func() error {
			var rates [2]float64 // unwatched, watched
			for i := range rates {
				which := (i + len(ratios)) % 2 // alternates which is first
				watching := viewers
				if which == 0 {
					watching = nil
				}
				rate, err := l.shownLoad(watching)
				if err != nil {
					return err
				}
				rates[which] = rate
			}
			ratios = append(ratios, rates[1]/rates[0])
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	ratio := report.Median(ratios)
	return []row{verdict(what, "≥ 98 %", fmt.Sprintf("%.1f %% (median of %d pairs)", 100*ratio, len(ratios)), ratio/goal)}, nil
}

// shownLoad returns the rate of agencies with a window at a central with an
// admin port, while the viewers have its page open and its metrics are scraped.
// Without viewers, nothing is scraped.
func (l *lab) shownLoad(viewers []context.Context) (rate float64, err error) {
	err = l.InFolder(func(folder string) error {
		c, admin, err := process.StartShownCentral(l.Ctx, l.Bin, folder, agencies)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(l.Ctx)
		watching, ctx := errgroup.WithContext(ctx)
		if len(viewers) > 0 {
			for _, viewer := range viewers {
				if err := openPage(viewer, "http://"+admin); err != nil {
					cancel()
					return errors.Join(err, c.Kill())
				}
			}
			watching.Go(func() error { return scrape(ctx, "http://"+admin+"/metrics") })
		}
		measured, err := l.load(c, agencies, window)
		cancel()
		if err = errors.Join(err, watching.Wait()); err != nil {
			return errors.Join(err, c.Kill())
		}
		rate = measured.Rate()
		for _, viewer := range viewers {
			err = errors.Join(err, closePage(viewer, admin))
		}
		return errors.Join(err, c.Stop())
	})
	return rate, err
}

// openBrowsers starts browsers, each a process of its own.
func openBrowsers(ctx context.Context) (viewers []context.Context, closeAll func(), err error) {
	var stops []func()
	closeAll = func() {
		for _, stop := range stops {
			stop()
		}
	}
	for range browsers {
		viewer, stop, err := browser.Start(ctx)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		viewers, stops = append(viewers, viewer), append(stops, stop)
	}
	return viewers, closeAll, nil
}

// openPage returns when the page is live.
func openPage(viewer context.Context, address string) error {
	if err := chromedp.Do(viewer, chromedp.Navigate(address)); err != nil {
		return err
	}
	return awaitLink(viewer, "live")
}

func awaitLink(viewer context.Context, want string) error {
	var got string
	for range 1000 {
		var err error
		got, err = chromedp.Run(viewer, chromedp.Evaluate[string](`document.getElementById("link").dataset.link`))
		if err != nil || got == want {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the page is %s, expected %s", got, want)
}

// closePage checks that the page has seen the load, and leaves it.
func closePage(viewer context.Context, address string) error {
	curve, err := chromedp.Run(viewer, chromedp.Evaluate[string](`document.querySelector("#total path.line").getAttribute("d")`))
	if err == nil && curve == "" {
		err = fmt.Errorf("the page at %s has drawn no curve", address)
	}
	return errors.Join(err, chromedp.Do(viewer, chromedp.Navigate("about:blank")))
}

// scrape gets the metrics every second until ctx is done.
func scrape(ctx context.Context, address string) error {
	ticker := time.NewTicker(scrapeEvery)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		if ctx.Err() != nil {
			return nil
		}
		if err == nil && response.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s answers %s", address, response.Status)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
