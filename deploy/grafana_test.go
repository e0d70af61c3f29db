package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	grafanaFolder = "grafana"
	// gridWidth is the number of columns of a Grafana dashboard.
	gridWidth = 24
)

type sourceRef struct{ Type, UID string }

type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name       string
			Datasource sourceRef
			Definition string
		}
	}
	Panels []panel
}

type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  sourceRef
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		RefID        string
		Datasource   sourceRef
		Expr         string
		LegendFormat string
	}
	FieldConfig struct{ Defaults struct{ Unit string } }
}

// readDashboard returns the dashboard, and its panels other than rows.
func readDashboard(t *testing.T) (d dashboard, panels []panel) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(grafanaFolder, "dashboards", "loteria.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		if p.Type != "row" {
			panels = append(panels, p)
		}
	}
	if len(panels) == 0 {
		t.Fatal("the dashboard is empty")
	}
	return d, panels
}

func TestPanelsAreLabelled(t *testing.T) {
	d, panels := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion == 0 {
		t.Errorf("the dashboard has uid %q, title %q, schemaVersion %d", d.UID, d.Title, d.SchemaVersion)
	}
	titles, ids := map[string]bool{}, map[int]bool{}
	for _, p := range d.Panels {
		if p.Title == "" || titles[p.Title] || p.ID <= 0 || ids[p.ID] {
			t.Errorf("panel %d %q: without a title or number of its own", p.ID, p.Title)
		}
		titles[p.Title], ids[p.ID] = true, true
	}
	for _, p := range panels {
		if p.FieldConfig.Defaults.Unit == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s: unit %q, description %q, %d queries", p.Title, p.FieldConfig.Defaults.Unit, p.Description, len(p.Targets))
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	d, _ := readDashboard(t)
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		g := p.GridPos
		if g.W <= 0 || g.H <= 0 || g.X < 0 || g.Y < 0 || g.X+g.W > gridWidth {
			t.Errorf("%s is at %+v, of %d columns", p.Title, g, gridWidth)
		}
		other := ""
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if taken[[2]int{x, y}] != "" {
					other = taken[[2]int{x, y}]
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if other != "" {
			t.Errorf("%s lies over %s", p.Title, other)
		}
	}
}

// legendLabel is a label in a legend: {{agency}}.
var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

func TestDashboardAsksForWhatThereIs(t *testing.T) {
	d, panels := readDashboard(t)
	metrics := centralMetrics(t)
	for _, p := range panels {
		refs := map[string]bool{}
		for _, target := range p.Targets {
			where := p.Title + ", " + target.RefID
			if target.RefID == "" || refs[target.RefID] {
				t.Errorf("%s: no name of its own", where)
			}
			refs[target.RefID] = true
			e := checkExpr(t, where, target.Expr, metrics)
			for _, s := range e.selectors {
				if !strings.Contains(target.Expr, s.metric+`{instance="$instance"`) {
					t.Errorf("%s: %s of any central", where, s.metric)
				}
			}
			for _, match := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !strings.Contains(target.Expr, match[1]) && !metrics[e.selectors[0].metric+"{"+match[1]+"}"] {
					t.Errorf("%s: the legend shows %s, which the result does not have", where, match[1])
				}
			}
		}
	}
	for _, variable := range d.Templating.List {
		metric, label, found := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(variable.Definition, "label_values("), ")"), ", ")
		if !found || !metrics[metric] || !labelsFromPrometheus[label] {
			t.Errorf("the variable %s is filled with %s", variable.Name, variable.Definition)
		}
	}
}

// Every alert can be looked into: its metrics are on the dashboard.
func TestDashboardShowsWhatAlertsAskFor(t *testing.T) {
	_, panels := readDashboard(t)
	shown := map[string]bool{"up": true} // without it nothing is shown
	for _, p := range panels {
		for _, target := range p.Targets {
			e, _ := parseExpr(target.Expr)
			for _, s := range e.selectors {
				shown[s.metric] = true
			}
		}
	}
	for _, rule := range alertRules(t) {
		e, _ := parseExpr(rule.Expr)
		for _, s := range e.selectors {
			if !shown[s.metric] {
				t.Errorf("%s asks for %s, which no panel shows", rule.Alert, s.metric)
			}
		}
	}
}

// Grafana fills these in.
var variables = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$instance", "server:8080")

func TestPromtoolAcceptsTheQueries(t *testing.T) {
	type recording struct{ Record, Expr string }
	var rules []recording
	_, panels := readDashboard(t)
	for _, p := range panels {
		for _, target := range p.Targets {
			rules = append(rules, recording{fmt.Sprintf("panel:%d:%s", p.ID, target.RefID), variables.Replace(target.Expr)})
		}
	}
	content, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "dashboard.yml"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := runTool(t, folder, "promtool", "check", "rules", "--lint=none", "dashboard.yml")
	if err != nil || !strings.Contains(output, fmt.Sprintf("%d rules found", len(rules))) {
		t.Errorf("%v: %s", err, output)
	}
}

func TestDashboardIsProvisioned(t *testing.T) {
	var sources struct {
		Datasources []struct {
			UID, Type, URL string
			JSONData       struct {
				TimeInterval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	readYAML(t, &sources, false, grafanaFolder, "provisioning", "datasources", "prometheus.yml")
	if len(sources.Datasources) != 1 {
		t.Fatalf("%d data sources", len(sources.Datasources))
	}
	source := sources.Datasources[0]
	want := sourceRef{source.Type, source.UID}
	d, panels := readDashboard(t)
	for _, variable := range d.Templating.List {
		if variable.Datasource != want {
			t.Errorf("the variable %s is from %+v, provisioned is %+v", variable.Name, variable.Datasource, want)
		}
	}
	for _, p := range panels {
		for _, target := range p.Targets {
			if p.Datasource != want || target.Datasource != want {
				t.Errorf("%s is from %+v and %+v, provisioned is %+v", p.Title, p.Datasource, target.Datasource, want)
			}
		}
	}

	var config scrapeConfig
	readYAML(t, &config, false, prometheusFolder, "prometheus.yml")
	if source.JSONData.TimeInterval != config.Global.ScrapeInterval {
		t.Errorf("Grafana takes %s for the scrape_interval, which is %s", source.JSONData.TimeInterval, config.Global.ScrapeInterval)
	}

	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	readYAML(t, &providers, false, grafanaFolder, "provisioning", "dashboards", "loteria.yml")
	mounts := readObservability(t).Services["grafana"].mounts()
	for _, provider := range providers.Providers {
		if mounts[provider.Options.Path] != "./deploy/grafana/dashboards" {
			t.Errorf("dashboards are looked for in %s, mounted are %v", provider.Options.Path, mounts)
		}
	}
	if len(providers.Providers) != 1 {
		t.Errorf("%d dashboard providers", len(providers.Providers))
	}
	if mounts["/etc/grafana/provisioning"] != "./deploy/grafana/provisioning" {
		t.Errorf("mounted are %v", mounts)
	}
}
