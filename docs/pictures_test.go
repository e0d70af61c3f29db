package docs_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"loteria/internal/browser"
)

var pictures = flag.String("pictures", "", "folder for the pictures of README; without it they are made in haste, and thrown away")

// TestPictures makes the pictures of README: a central's page in the middle of a
// lottery, and "make run" on a terminal. It is what "make pictures" calls, with
// the folder.
func TestPictures(t *testing.T) {
	tab, stop, err := browser.Start(t.Context())
	if errors.Is(err, browser.ErrNone) && *pictures == "" && os.Getenv("REQUIRE_CHROMIUM") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	v := &viewer{t, tab, buildAll(t)}
	moment, folder := hasty, t.TempDir()
	if *pictures != "" {
		moment, folder = lively, *pictures
	}
	for name, picture := range map[string][]byte{"page.png": v.page(moment), "terminal.png": v.terminal()} {
		config, err := png.DecodeConfig(bytes.NewReader(picture))
		if err != nil || config.Width < 1000 || config.Height < 500 {
			t.Errorf("%s is %+v, %v", name, config, err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), picture, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d × %d, %d bytes", name, config.Width, config.Height, len(picture))
	}
}

// buildAll returns a folder with the programs server, client and run.
func buildAll(t *testing.T) (bin string) {
	t.Helper()
	bin = t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/server", "./cmd/client", "./cmd/run")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, output)
	}
	return bin
}

// viewer is a browser tab, and what it shows.
type viewer struct {
	*testing.T
	tab context.Context
	bin string // folder with the programs
}

// run returns "make run" in a folder of its own, with more arguments. The folders
// in its output are the usual ones.
func (v *viewer) run(ctx context.Context, more ...string) *exec.Cmd {
	v.Helper()
	data, err := filepath.Abs(filepath.Join(root, ".data"))
	if err != nil {
		v.Fatal(err)
	}
	run := exec.CommandContext(ctx, filepath.Join(v.bin, "run"), append([]string{"--bin", v.bin, "--data", ".data"}, more...)...)
	run.Dir = v.TempDir()
	if err := os.Symlink(data, filepath.Join(run.Dir, ".data")); err != nil {
		v.Fatal(err)
	}
	return run
}

// open opens an address in a window of that size, in English and with light
// colours.
func (v *viewer) open(address string, width, height int64) {
	v.Helper()
	if err := chromedp.Do(v.tab,
		chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1.5)),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetUserAgentOverride,
				emulation.SetUserAgentOverrideParams{UserAgent: "pictures", AcceptLanguage: "en-GB"})
			return err
		}),
		chromedp.Navigate(address)); err != nil {
		v.Fatal(err)
	}
}

// picture returns a PNG of what the selector finds.
func (v *viewer) picture(selector string) []byte {
	v.Helper()
	picture, err := chromedp.Run(v.tab, chromedp.ScreenshotScale(chromedp.CSS(selector), 1))
	if err != nil {
		v.Fatal(err)
	}
	return picture
}
