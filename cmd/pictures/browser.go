package main

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium with one tab.
type browser struct {
	ctx   context.Context
	close context.CancelFunc
}

func openBrowser(ctx context.Context) (*browser, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("there is no chromium on this machine (Debian: apt-get install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it has none for root
	}
	allocator, closeAllocator := chromedp.NewExecAllocator(ctx, options...)
	tab, closeTab := chromedp.NewContext(allocator)
	return &browser{tab, func() { closeTab(); closeAllocator() }}, nil
}

// open opens an address in a window of that size, as somebody sees it who reads
// English and likes it light.
func (b *browser) open(address string, width, height int64) error {
	return chromedp.Do(b.ctx,
		chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetUserAgentOverride,
				emulation.SetUserAgentOverrideParams{UserAgent: "pictures", AcceptLanguage: "en-GB"})
			return err
		}),
		chromedp.Navigate(address))
}

// picture returns a PNG of all that the selector finds.
func (b *browser) picture(selector string) ([]byte, error) {
	return chromedp.Run(b.ctx, chromedp.ScreenshotScale(chromedp.CSS(selector), 1))
}
