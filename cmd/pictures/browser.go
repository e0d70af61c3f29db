package main

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// viewer is a tab of a browser.
type viewer struct{ tab context.Context }

// open opens an address in a window of that size, as somebody sees it who reads
// English and likes it light.
func (v *viewer) open(address string, width, height int64) error {
	return chromedp.Do(v.tab,
		chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetUserAgentOverride,
				emulation.SetUserAgentOverrideParams{UserAgent: "pictures", AcceptLanguage: "en-GB"})
			return err
		}),
		chromedp.Navigate(address))
}

// picture returns a PNG of all that the selector finds.
func (v *viewer) picture(selector string) ([]byte, error) {
	return chromedp.Run(v.tab, chromedp.ScreenshotScale(chromedp.CSS(selector), 1))
}
