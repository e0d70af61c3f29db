package docs_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// The terminal's size, in characters.
const columns, rows = 96, 40

// terminal returns a picture of a terminal after "make run" has ended.
func (v *viewer) terminal() []byte {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.Context(), pictureLimit)
	defer cancel()
	run := v.run(ctx)
	terminal, err := pty.StartWithSize(run, &pty.Winsize{Cols: columns, Rows: rows})
	if err != nil {
		v.Fatal(err)
	}
	defer terminal.Close()
	screen := vt.NewEmulator(columns, rows)
	fmt.Fprint(screen, "$ make run\r\n")
	// Reading ends with an error: the other end is closed then.
	_, _ = io.Copy(screen, terminal)
	if err := run.Wait(); err != nil {
		v.Fatalf("make run: %v", err)
	}
	v.open("data:text/html;base64,"+base64.StdEncoding.EncodeToString([]byte(terminalPage(screen))), 900, 700)
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
