package logline

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/rs/zerolog"
)

// rendered is the line, without its time, that an event gives.
func rendered(t testing.TB, log func(*zerolog.Logger)) string {
	t.Helper()
	var event strings.Builder
	logger := zerolog.New(&event)
	log(&logger)
	return string(appendLine(nil, []byte(event.String())))
}

func TestLine(t *testing.T) {
	tests := []struct {
		name string
		log  func(*zerolog.Logger)
		want string
	}{
		{"contract", func(l *zerolog.Logger) {
			l.Info().Str("action", "config").Str("result", "success").Int("port", 12345).Send()
		}, "INFO     action: config | result: success | port: 12345\n"},
		{"debug", func(l *zerolog.Logger) { l.Debug().Str("a", "b").Send() }, "DEBUG    a: b\n"},
		{"trace", func(l *zerolog.Logger) { l.Trace().Str("a", "b").Send() }, "DEBUG    a: b\n"},
		{"warning", func(l *zerolog.Logger) { l.Warn().Str("a", "b").Send() }, "WARNING  a: b\n"},
		{"error", func(l *zerolog.Logger) { l.Error().Str("a", "b").Send() }, "ERROR    a: b\n"},
		{"critical", func(l *zerolog.Logger) { l.WithLevel(zerolog.FatalLevel).Str("a", "b").Send() }, "CRITICAL a: b\n"},
		{"panic", func(l *zerolog.Logger) { l.WithLevel(zerolog.PanicLevel).Str("a", "b").Send() }, "CRITICAL a: b\n"},
		{"no level", func(l *zerolog.Logger) { l.Log().Str("a", "b").Send() }, "INFO     a: b\n"},
		{"a field named level", func(l *zerolog.Logger) {
			l.Info().Str("action", "x").Str("level", "fatal").Send()
		}, "INFO     action: x | level: fatal\n"},
		{"order as added, names twice", func(l *zerolog.Logger) {
			l.Info().Str("z", "1").Str("a", "2").Str("z", "3").Send()
		}, "INFO     z: 1 | a: 2 | z: 3\n"},
		{"error and message", func(l *zerolog.Logger) {
			l.Error().Str("action", "x").Err(errors.New("no room")).Msg("it is full")
		}, "ERROR    action: x | error: no room | message: it is full\n"},
		{"message alone", func(l *zerolog.Logger) { l.Info().Msg("hola") }, "INFO     message: hola\n"},
		{"nothing", func(l *zerolog.Logger) { l.Info().Send() }, "INFO     \n"},
		{"timestamp left out", func(l *zerolog.Logger) {
			l.Info().Timestamp().Str("action", "x").Timestamp().Str("timer", "y").Str("time:", "z").Timestamp().Send()
		}, "INFO     action: x | timer: y | time:: z\n"},
		{"scalars", func(l *zerolog.Logger) {
			l.Info().Bool("b", true).Float64("f", -1.5).Uint64("u", 18446744073709551615).Interface("n", nil).Send()
		}, "INFO     b: true | f: -1.5 | u: 18446744073709551615 | n: null\n"},
		{"nested", func(l *zerolog.Logger) {
			l.Info().Strs("s", []string{`a|b`, `"]`, `\`}).Dict("d", zerolog.Dict().Int("k", 1)).Ints("i", nil).Int("z", 1).Send()
		}, `INFO     s: ["a\u007cb","\"]","\\"] | d: {"k":1} | i: [] | z: 1` + "\n"},
		{"as they are", func(l *zerolog.Logger) {
			l.Info().Str("msg", `[CLIENT 1] Message N°1 "Ñandú" \n <é> 你 😀`).Send()
		}, `INFO     msg: [CLIENT 1] Message N°1 "Ñandú" \n <é> 你 😀` + "\n"},
		{"empty value and key", func(l *zerolog.Logger) { l.Info().Str("a", "").Str("", "b").Send() }, "INFO     a:  | : b\n"},
		{"escaped", func(l *zerolog.Logger) {
			l.Info().Str("k|\n", "a | b: c\r\n\t\x00\x1b[31m\x7f\b\f").Str("u", "\u0085\u009b\u2028\u2029\u202e").Send()
		}, `INFO     k\u007c\n: a \u007c b: c\r\n\t\u0000\u001b[31m\u007f\b\f | u: \u0085\u009b\u2028\u2029\u202e` + "\n"},
		{"not UTF-8", func(l *zerolog.Logger) { l.Info().Str("a", "x\xffy").Send() }, "INFO     a: x\ufffdy\n"},
		{"JSON's escapes", func(l *zerolog.Logger) {
			l.Info().RawJSON("a", []byte(`"\u00f1 \uD83D\ude00 \u2028 \u007c \/ \ud83d!"`)).Send()
		}, `INFO     a: ñ 😀 \u2028 \u007c / ` + "\ufffd!\n"},
		{"raw line breaks", func(l *zerolog.Logger) {
			l.Info().RawJSON("a", []byte("[1,\n \"|\x85\"]")).Send()
		}, `INFO     a: [1,\n "\u007c` + "\ufffd\"]\n"},
		{"raw garbage", func(l *zerolog.Logger) {
			l.Info().Str("action", "x").RawJSON("a", []byte("\"\n| b")).Send()
		}, `INFO     action: x | malformed: "a":"\n\u007c b}` + "\n"},
		{"raw bad escape", func(l *zerolog.Logger) {
			l.Info().RawJSON("a", []byte(`"\u12g4"`)).Send()
		}, `INFO     malformed: "a":"\u12g4"}` + "\n"},
		{"raw nothing", func(l *zerolog.Logger) {
			l.Info().RawJSON("a", nil).Send()
		}, `INFO     malformed: "a":}` + "\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := rendered(t, test.log); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestLineOfWhatIsNoEvent(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "INFO     message: \n",
		"\n":                 "INFO     message: \n",
		"plain | text\nmore": `INFO     message: plain \u007c text\nmore` + "\n",
		"{":                  "INFO     malformed: \n",
		`{"level":"info"`:    "INFO     malformed: \n",
		`{"level":"loud"}`:   "INFO     level: loud\n",
		`{"a`:                `INFO     malformed: "a` + "\n",
		`{"a":1`:             "INFO     a: 1 | malformed: \n",
		`{"a":1,`:            "INFO     a: 1 | malformed: \n",
		`{"a":1,}`:           "INFO     a: 1 | malformed: }\n",
		`{"a" 1}`:            `INFO     malformed: "a" 1}` + "\n",
		`{"a":1]`:            "INFO     a: 1 | malformed: ]\n",
		`{"a":1e2} {"b`:      "INFO     a: 1e2\n",
		`["a",1]`:            `INFO     message: ["a",1]` + "\n",
		`{"a":[1,"]`:         `INFO     malformed: "a":[1,"]` + "\n",
		`{"a":"\`:            `INFO     malformed: "a":"\` + "\n",
	} {
		if got := string(appendLine(nil, []byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// checkShape fails unless line is one line of n parts that nothing can forge.
func checkShape(t *testing.T, line string, n int) {
	t.Helper()
	body, ok := strings.CutSuffix(line, "\n")
	if !ok {
		t.Fatalf("no line break at the end of %q", line)
	}
	for _, r := range body {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			t.Fatalf("%U in %q", r, line)
		}
	}
	if got := strings.Count(body, "|"); got != n-1 {
		t.Fatalf("%d bars for %d fields in %q", got, n, line)
	}
	for i, part := range strings.Split(body, " | ") {
		if i > 0 && !strings.Contains(part, ":") {
			t.Fatalf("part %d has no colon in %q", i, line)
		}
	}
}

func TestNobodyForgesALine(t *testing.T) {
	for r := rune(0); r < 0x3000; r++ {
		s := "a" + string(r) + "b"
		line := rendered(t, func(l *zerolog.Logger) {
			l.Info().Str("action", s).Str(s, s).Strs("list", []string{s}).Msg(s)
		})
		checkShape(t, line, 4)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("key", "value | forged: yes\n2026-01-31 10:00:00 INFO     action: sorteo")
	f.Add("\u2028", "\x1b[0m\xff\"\\")
	f.Fuzz(func(t *testing.T, key, value string) {
		n := 4
		if key == zerolog.TimestampFieldName { // left out: the line begins with it
			n--
		}
		checkShape(t, rendered(t, func(l *zerolog.Logger) {
			l.Info().Str("action", value).Str(key, value).Interface("any", []string{value}).Int("n", 1).Send()
		}), n)
		// Whatever else comes in, one line comes out.
		for _, event := range []string{value, "{" + value, `{"` + key + `":` + value + "}"} {
			checkOneLine(t, string(appendLine(nil, []byte(event))))
		}
	})
}

func checkOneLine(t *testing.T, line string) {
	t.Helper()
	checkShape(t, line, 1+strings.Count(line, "|"))
}

const benchmarkEvent = `{"level":"info","action":"apuesta_almacenada","result":"success","dni":"30904465","numero":"7574","name":"Santiago Lionel Ñandú"}` + "\n"

func BenchmarkLine(b *testing.B) {
	event, dst := []byte(benchmarkEvent), make([]byte, 0, 512)
	b.ReportAllocs()
	b.SetBytes(int64(len(event)))
	for b.Loop() {
		dst = appendLine(dst[:0], event)
	}
}
