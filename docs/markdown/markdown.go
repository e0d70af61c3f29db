// Package markdown reads the project's documents, so that tests can check what
// they say. It knows as much of Markdown as they use.
package markdown

import (
	"fmt"
	"regexp"
	"strings"
)

// Document is a Markdown file.
type Document struct {
	Name   string // as in Command.Where
	Lines  []string
	Blocks []Block
}

// Block is a block of code, indented by four columns or more, or between fences.
type Block struct {
	Line  int // of its first line, from 1
	Lines []string
}

// Parse reads a document. The name is that in Command.Where.
func Parse(name, content string) Document {
	d := Document{Name: name, Lines: strings.Split(strings.TrimSuffix(content, "\n"), "\n")}
	blank := func(i int) bool { return strings.TrimSpace(d.Lines[i]) == "" }
	for i := 0; i < len(d.Lines); i++ {
		begin, end := i, i
		switch {
		case strings.HasPrefix(strings.TrimSpace(d.Lines[i]), "```"):
			begin++
			for i++; i < len(d.Lines) && strings.TrimSpace(d.Lines[i]) != "```"; i++ {
			}
			end = min(i, len(d.Lines))
		case isIndented(d.Lines[i]) && !blank(i) && (i == 0 || blank(i-1)):
			for ; i < len(d.Lines) && (isIndented(d.Lines[i]) || blank(i)); i++ {
				if !blank(i) {
					end = i + 1
				}
			}
			i = end - 1
		}
		if end > begin {
			d.Blocks = append(d.Blocks, Block{begin + 1, d.Lines[begin:end]})
		}
	}
	return d
}

func isIndented(line string) bool { return strings.HasPrefix(line, "    ") }

// Paragraph is text with its lines joined. A row of a table is one, and so is an
// item of a list.
type Paragraph struct {
	Line int // of its first line, from 1
	Text string
}

var beginsParagraph = regexp.MustCompile(`^(?:\||[-*] |\d+\. |#+ )`)

// Paragraphs returns the text outside code blocks.
func (d Document) Paragraphs() (all []Paragraph) {
	code := map[int]bool{}
	for _, b := range d.Blocks {
		for i := range b.Lines {
			code[b.Line+i] = true
		}
	}
	goesOn := false
	for i, line := range d.Lines {
		text := strings.TrimSpace(line)
		if text == "" || code[i+1] {
			goesOn = false
			continue
		}
		if goesOn && !beginsParagraph.MatchString(text) {
			all[len(all)-1].Text += " " + text
			continue
		}
		all = append(all, Paragraph{i + 1, text})
		goesOn = !strings.HasPrefix(text, "#")
	}
	return all
}

// Command is a command of a document, as written, without its comment.
type Command struct {
	Text  string
	Where string // name:line
}

// programs matches the first word of a command. A command has more than that:
// the word alone only names the program.
var programs = regexp.MustCompile(`^(?:\./)?(?:bin/)?(?:make|go|gofmt|docker|git|bash|sh|server|client|certs|goals|peers|deploy/[a-z-]+\.sh|` +
	`systemctl|systemd-sysusers|journalctl|install|sudo|nohup|cp|mv|rm|mkdir|touch|echo|for|until|cd|cat|chmod|chown|diff|truncate|sha256sum|` +
	`curl|ssh|openssl|nats|kubectl|helm|promtool|python3?|iconv|tr)$`)

var (
	assignment = regexp.MustCompile(`^[A-Z_]+=(?:"[^"]*"|[^ ]*) +`)
	codeSpan   = regexp.MustCompile("`([^`]+)`")
	logged     = regexp.MustCompile(`action: \w+ \| result: `)
)

// IsCommand reports whether a line or a code span is a command.
func IsCommand(text string) bool {
	if logged.MatchString(text) {
		return false
	}
	set := assignment.MatchString(text)
	for assignment.MatchString(text) {
		text = assignment.ReplaceAllString(text, "")
	}
	word, _, more := strings.Cut(text, " ")
	return (more || set) && programs.MatchString(word)
}

// loop matches a complete loop.
var loop = regexp.MustCompile(`^for .* done\b`)

// withoutComment returns a line without its comment.
func withoutComment(line string) string {
	quote := byte(0)
	for i := range len(line) {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case strings.HasPrefix(line[i:], " # "):
			return strings.TrimRight(line[:i], " ")
		}
	}
	return strings.TrimRight(line, " ")
}

// IsCommands reports whether a block is commands only, without prompts and
// output.
func (b Block) IsCommands() bool {
	return !b.IsSession() && IsCommand(strings.TrimSpace(b.Lines[0]))
}

const prompt = "$ "

// IsSession reports whether a block is commands after prompts, and what they
// print.
func (b Block) IsSession() bool {
	return strings.HasPrefix(strings.TrimSpace(b.Lines[0]), prompt)
}

// IsLog reports whether a block is lines of a log.
func (b Block) IsLog() bool { return logged.MatchString(b.Lines[0]) }

// Commands returns those in blocks, and in code spans of the text.
func (d Document) Commands() (all []Command) {
	add := func(text string, line int) {
		all = append(all, Command{withoutComment(text), fmt.Sprintf("%s:%d", d.Name, line)})
	}
	for _, b := range d.Blocks {
		unfinished := false
		for i, line := range b.Lines {
			text, prompted := strings.CutPrefix(strings.TrimSpace(line), prompt)
			switch {
			case unfinished:
				last := &all[len(all)-1]
				last.Text = strings.TrimSuffix(last.Text, " \\") + " " + withoutComment(text)
			case prompted || b.IsCommands() && text != "" && !strings.HasPrefix(text, "#"):
				add(text, b.Line+i)
			default:
				continue
			}
			last := all[len(all)-1].Text
			unfinished = strings.HasSuffix(last, " \\") || strings.HasPrefix(last, "for ") && !loop.MatchString(last)
		}
	}
	for _, p := range d.Paragraphs() {
		for _, span := range codeSpan.FindAllStringSubmatch(strings.ReplaceAll(p.Text, `\|`, "|"), -1) {
			if IsCommand(span[1]) {
				add(span[1], p.Line)
			}
		}
	}
	return all
}

// Quoted returns the command. It marks one that a test runs as a document has it,
// apart from what the test's comment says: a port, a folder. A test of the documents
// finds the calls in the source, so the text is a constant of one or more literals,
// and fails on a text that no document has.
func Quoted(command string) string { return command }

// Sessions returns the document's name. It marks one whose sessions a test runs whole,
// each of its Exchanges, as Quoted marks a command.
func Sessions(document string) string { return document }

// Exchange is a command after a prompt, and the lines below it that it prints.
type Exchange struct {
	Command
	Prints []string
}

// Exchanges returns those of a document, in order.
func (d Document) Exchanges() (all []Exchange) {
	for _, b := range d.Blocks {
		if !b.IsSession() {
			continue
		}
		for i, line := range b.Lines {
			text := strings.TrimSpace(line)
			switch command, prompted := strings.CutPrefix(text, prompt); {
			case prompted:
				all = append(all, Exchange{Command: Command{withoutComment(command), fmt.Sprintf("%s:%d", d.Name, b.Line+i)}})
			case text != "":
				all[len(all)-1].Prints = append(all[len(all)-1].Prints, text)
			}
		}
	}
	return all
}
