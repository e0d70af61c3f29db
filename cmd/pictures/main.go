// Command pictures makes the pictures of README: a central's page in the middle
// of a lottery, and "make run" on a terminal. It needs Chromium, and the
// programs server, client and run in a folder. It is what "make pictures"
// calls.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"
	"loteria/internal/browser"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := pflag.NewFlagSet("pictures", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	bin := flags.String("bin", "bin", "folder with the programs server, client and run")
	data := flags.String("data", ".data", "folder with the agencies' files, or a zip that holds them")
	out := flags.String("out", "docs", "folder for the pictures")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := makePictures(ctx, *bin, *data, *out, stdout); err != nil {
		fmt.Fprintln(stderr, "pictures:", err)
		return 1
	}
	return 0
}

func makePictures(ctx context.Context, bin, data, out string, stdout io.Writer) error {
	tab, stop, err := browser.Start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	v := &viewer{tab}
	page, err := picturePage(ctx, v, bin, data)
	if err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	terminal, err := pictureTerminal(ctx, v, bin, data)
	if err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	for name, picture := range map[string][]byte{"page.png": page, "terminal.png": terminal} {
		if err := os.WriteFile(filepath.Join(out, name), picture, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d bytes\n", filepath.Join(out, name), len(picture))
	}
	return nil
}
