package deploy

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// expr is what a PromQL expression asks for.
type expr struct {
	selectors []selector // in the order of the text
	grouping  []string   // labels in by, without, on, ignoring and group_…
}

type selector struct {
	metric string
	labels []string // of its matchers
}

func (e expr) asks(metric string) bool {
	return slices.ContainsFunc(e.selectors, func(s selector) bool { return s.metric == metric })
}

var (
	// token is one of: a string, a range like [5m], a number or duration, a
	// name, or any other character.
	token = regexp.MustCompile("^(?:\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`[^`]*`" +
		`|\[[^\]]*\]|\$?[A-Za-z_:][\w:]*|[0-9][\w.]*|\S)`)
	identifier = regexp.MustCompile(`^[A-Za-z_:][\w:]*$`)
	// grouping matches words before labels in parentheses.
	grouping = regexp.MustCompile(`^(?:by|without|on|ignoring|group_left|group_right)$`)
	operator = regexp.MustCompile(`^(?i:and|or|unless|bool|offset|inf|nan)$`)
)

// parseExpr finds the metrics and labels in a PromQL expression, or in a series
// as in /metrics. The rest of the syntax is for promtool to check. Metrics that
// are not named, as in {__name__=~"x"}, are an error.
func parseExpr(text string) (e expr, err error) {
	var tokens []string
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimSpace(rest) {
		found := token.FindString(rest)
		tokens = append(tokens, found)
		rest = rest[len(found):]
	}
	// labels returns the names between the opening token tokens[i] and the closing
	// one that come before one of the tokens in before.
	labels := func(i int, closing, before string) (found []string, end int, err error) {
		for j := i + 1; j < len(tokens); j++ {
			if tokens[j] == closing {
				return found, j, nil
			}
			if identifier.MatchString(tokens[j]) && j+1 < len(tokens) && strings.Contains(before, tokens[j+1]) {
				found = append(found, tokens[j])
			}
		}
		return nil, 0, fmt.Errorf("%q: no %s", text, closing)
	}
	for i := 0; i < len(tokens); i++ {
		next := ""
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		switch word := tokens[i]; {
		case grouping.MatchString(word) && next == "(":
			var found []string
			if found, i, err = labels(i+1, ")", ",)"); err != nil {
				return expr{}, err
			}
			e.grouping = append(e.grouping, found...)
		case word == "{":
			return expr{}, fmt.Errorf("%q: a metric without its name", text)
		case !identifier.MatchString(word), operator.MatchString(word), grouping.MatchString(word):
		case next == "(", grouping.MatchString(next): // a function
		case next == "{":
			s := selector{metric: word}
			if s.labels, i, err = labels(i+1, "}", "=!"); err != nil {
				return expr{}, err
			}
			e.selectors = append(e.selectors, s)
		default:
			e.selectors = append(e.selectors, selector{metric: word})
		}
	}
	return e, nil
}

func TestParseExpr(t *testing.T) {
	for text, want := range map[string]expr{
		`up`:                  {selectors: []selector{{metric: "up"}}},
		`2 * 1e3 > bool 0x1F`: {},
		`rate(a_total{code="x y, {b}",  agency !~ "1|2"}[5m] offset 1h) > 0.1`: {selectors: []selector{{"a_total", []string{"code", "agency"}}}},
		`sum by (job, le) (rate(a_bucket[$__rate_interval])) / sum(b) by (x)`: {
			[]selector{{metric: "a_bucket"}, {metric: "b"}}, []string{"job", "le", "x"}},
		`topk(20, (time() - a{instance="$instance"}) and on (agency) b == 0)`: {
			[]selector{{"a", []string{"instance"}}, {metric: "b"}}, []string{"agency"}},
		`a * on (x) group_left (y) b unless c or sum without () (d)`: {
			[]selector{{metric: "a"}, {metric: "b"}, {metric: "c"}, {metric: "d"}}, []string{"x", "y"}},
		`label_replace(up, "foo", "$1", "by", "(.*)")`:      {selectors: []selector{{metric: "up"}}},
		`histogram_quantile(0.99, ns:a{le='in"f'} [1m:5s])`: {selectors: []selector{{"ns:a", []string{"le"}}}},
	} {
		got, err := parseExpr(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
	for _, text := range []string{`{__name__="up"}`, `up{job="a"`, `sum by (job`} {
		if got, err := parseExpr(text); err == nil {
			t.Errorf("%s: no error, but %+v", text, got)
		}
	}
}
