package markdown

import (
	"fmt"
	"slices"
	"testing"
)

const page = "# Title\n" + // 1
	"\n" +
	"Say `make run`, or `make` alone, and then `CLI_MODE=bet\n" + // 3
	"./bin/client`, as `server` does.\n" +
	"\n" +
	"    make build   # what it is for\n" + // 6
	"    ./bin/server\n" +
	"\n" +
	"    B=2 ./bin/server\n" +
	"\n" +
	"- An item that\n" + // 11
	"    goes on `git status`\n" +
	"- | another:\n" +
	"\n" +
	"      cp a b\n" + // 15
	"\n" +
	"      mv a b\n" +
	"\n" +
	"| `sh \\| x` | `docker ps` |\n" + // 19
	"\n" +
	"```\n" +
	"$ sh x   # now\n" + // 22
	"out\n" +
	"$ sh y\n" +
	"```\n" +
	"    server | … action: x | result: success\n" + // no blank line before it: text
	"\n" +
	"    server | … action: y | result: success\n" + // 28
	"\n" +
	"Text.\n" +
	"\n" +
	"    a,b,c\n" // 32

func TestCommands(t *testing.T) {
	var got []string
	for _, c := range Parse("p", page).Commands() {
		got = append(got, c.Where+" "+c.Text)
	}
	want := []string{
		"p:6 make build", "p:7 ./bin/server", "p:9 B=2 ./bin/server", "p:15 cp a b", "p:17 mv a b", "p:22 sh x", "p:24 sh y",
		"p:3 make run", "p:3 CLI_MODE=bet ./bin/client", "p:11 git status", "p:19 sh | x", "p:19 docker ps",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func TestExchanges(t *testing.T) {
	got := fmt.Sprint(Parse("p", page).Exchanges())
	want := "[{{sh x p:22} [out]} {{sh y p:24} []}]"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBlocks(t *testing.T) {
	var got []string
	for _, b := range Parse("p", page).Blocks {
		got = append(got, fmt.Sprintln(b.Line, len(b.Lines), b.IsCommands(), b.IsSession(), b.IsLog()))
	}
	want := []string{"6 4 true false false\n", "15 3 true false false\n", "22 3 false true false\n", "28 1 false false true\n", "32 1 false false false\n"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A command may have several lines, and # within quotes begins no comment.
func TestCommandsOfSeveralLines(t *testing.T) {
	var got []string
	for _, c := range Parse("p", "    make \\\n      a   # what\n    echo 'b # c' \"# d\"  # e\n    for i in 1 2; do\n      sh $i &\n    done; wait\n    cp a b\n").Commands() {
		got = append(got, c.Where+" "+c.Text)
	}
	want := []string{"p:1 make a", `p:3 echo 'b # c' "# d"`, "p:4 for i in 1 2; do sh $i & done; wait", "p:7 cp a b"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// Text that ends in the middle is read to its end.
func TestUnfinished(t *testing.T) {
	for _, content := range []string{"", "\n", "```", "```\n", "```\nmake x", "    ", "    \n\n", "    make x", "`make x", "$ ", "    $ ", "|", "#"} {
		d := Parse("p", content)
		d.Commands()
		d.Exchanges()
	}
}
