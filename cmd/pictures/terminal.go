package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// The terminal's size, in characters.
const columns, rows = 96, 40

// pictureTerminal returns a picture of a terminal on which "make run" has come
// to its end.
func pictureTerminal(ctx context.Context, v *viewer, bin, data string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	run := exec.CommandContext(ctx, filepath.Join(bin, "run"), "--bin", bin, "--data", data)
	terminal, err := pty.StartWithSize(run, &pty.Winsize{Cols: columns, Rows: rows})
	if err != nil {
		return nil, err
	}
	defer terminal.Close()
	screen := vt.NewEmulator(columns, rows)
	fmt.Fprint(screen, "$ make run\r\n")
	// Reading ends with an error: the other end is closed then.
	_, _ = io.Copy(screen, terminal)
	if err := run.Wait(); err != nil {
		return nil, fmt.Errorf("make run: %w", err)
	}
	page := "data:text/html;base64," + base64.StdEncoding.EncodeToString([]byte(terminalPage(screen)))
	if err := v.open(page, 900, 700); err != nil {
		return nil, err
	}
	return v.picture("pre")
}

// terminalPage returns a page that looks like the screen.
func terminalPage(screen *vt.Emulator) string {
	var lines []string
	for y := range screen.Height() {
		var line strings.Builder
		for x := range screen.Width() {
			cell := screen.CellAt(x, y)
			if cell == nil || cell.Content == "" {
				line.WriteByte(' ')
				continue
			}
			text := html.EscapeString(cell.Content)
			if colour := cell.Style.Fg; colour != nil {
				r, g, b, _ := colour.RGBA()
				text = fmt.Sprintf(`<span style="color:rgb(%d,%d,%d)">%s</span>`, r>>8, g>>8, b>>8, text)
			}
			line.WriteString(text)
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return `<!doctype html><meta charset="utf-8"><style>
		body { margin: 0 }
		pre { display: inline-block; margin: 0; padding: 14px 18px; background: #14191a; color: #e8ece9; font: 14px/1.35 "DejaVu Sans Mono", monospace }
	</style><pre>` + strings.Join(lines, "\n") + `</pre>`
}
