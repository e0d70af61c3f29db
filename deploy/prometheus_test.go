package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"loteria/internal/certs/certstest"
)

const prometheusFolder = "prometheus"

type alertRule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []alertRule
	}
}

// readYAML reads a file below deploy. With allKnown, a field that into lacks is an
// error.
func readYAML(t *testing.T, into any, allKnown bool, path ...string) {
	t.Helper()
	file, err := os.Open(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(allKnown)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", filepath.Join(path...), err)
	}
}

// alertRules returns every alert.
func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file ruleFile
	readYAML(t, &file, true, prometheusFolder, "alerts.yml")
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("alerts.yml has no alert")
	}
	return rules
}

// runTool runs a program in a folder below deploy, or skips the test without it.
func runTool(t *testing.T, folder, tool string, args ...string) (output string, err error) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is not installed", tool)
	}
	command := exec.CommandContext(t.Context(), tool, args...)
	command.Dir = folder
	combined, err := command.CombinedOutput()
	return string(combined), err
}

func TestPromtoolAcceptsTheConfiguration(t *testing.T) {
	// It checks the rules that the configuration names, too.
	if output, err := runTool(t, prometheusFolder, "promtool", "check", "config", "prometheus.yml"); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

// The commented configuration for an admin port with a token and TLS is valid when
// uncommented.
func TestPromtoolAcceptsTheConfigurationWithAToken(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(prometheusFolder, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	_, comment, found := strings.Cut(string(content), "authority.\n    #\n")
	if !found {
		t.Fatal("prometheus.yml says nothing of a token")
	}
	before := strings.TrimSuffix(string(content), comment)
	folder := t.TempDir()
	for name, content := range map[string]string{
		"prometheus.yml": before + strings.ReplaceAll(comment, "    # ", "    "), "alerts.yml": "groups: []\n",
		"admin-token": "a-token-of-the-tests", "authority.pem": string(certstest.Authority(t).Certificate),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var config struct {
		ScrapeConfigs []struct {
			Scheme        string
			Authorization map[string]string
			TLSConfig     map[string]string `yaml:"tls_config"`
		} `yaml:"scrape_configs"`
	}
	readYAML(t, &config, false, folder, "prometheus.yml")
	if job := config.ScrapeConfigs[0]; job.Scheme != "https" || job.Authorization["credentials_file"] != "admin-token" || job.TLSConfig["ca_file"] != "authority.pem" {
		t.Errorf("it says %+v", job)
	}
	if output, err := runTool(t, folder, "promtool", "check", "config", "prometheus.yml"); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

func TestAlertsFire(t *testing.T) {
	if output, err := runTool(t, prometheusFolder, "promtool", "test", "rules", "alerts_test.yml"); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

// promtool takes an alert that does not exist for one that does not fire.
func TestEachAlertIsTested(t *testing.T) {
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, &file, false, prometheusFolder, "alerts_test.yml")
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, one := range test.AlertRuleTest {
			if len(one.ExpAlerts) > 0 {
				fires[one.Alertname] = true
			} else {
				silent[one.Alertname] = true
			}
		}
	}
	for _, rule := range alertRules(t) {
		if !fires[rule.Alert] || !silent[rule.Alert] {
			t.Errorf("%s: seen to fire: %t, seen not to fire: %t", rule.Alert, fires[rule.Alert], silent[rule.Alert])
		}
		delete(fires, rule.Alert)
		delete(silent, rule.Alert)
	}
	if len(fires)+len(silent) > 0 {
		t.Errorf("tested, but no alerts: %v %v", fires, silent)
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	for _, rule := range alertRules(t) {
		if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s: the severity is %q", rule.Alert, severity)
		}
		if summary := rule.Annotations["summary"]; !strings.HasSuffix(summary, ".") || strings.Contains(summary, "\n") {
			t.Errorf("%s: the summary is no sentence of one line: %q", rule.Alert, summary)
		}
		if description := rule.Annotations["description"]; len(description) <= len(rule.Annotations["summary"]) {
			t.Errorf("%s: the description is %q", rule.Alert, description)
		}
	}
}

// The operators' page explains every alert.
func TestAlertsAreExplained(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "operators.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range alertRules(t) {
		if !strings.Contains(string(page), "`"+rule.Alert+"`") {
			t.Errorf("the operators' page says nothing of %s", rule.Alert)
		}
	}
}

func TestAlertsAskForWhatThereIs(t *testing.T) {
	metrics := centralMetrics(t)
	for _, rule := range alertRules(t) {
		e := checkExpr(t, rule.Alert, rule.Expr, metrics)
		for _, s := range e.selectors {
			if !slices.Contains(s.labels, "job") {
				t.Errorf("%s: %s of any job", rule.Alert, s.metric)
			}
		}
	}
}

// The descriptions name flags and labels: each must exist.
func TestAlertsNameFlagsThatThereAre(t *testing.T) {
	settings, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range alertRules(t) {
		for _, word := range strings.FieldsFunc(rule.Annotations["description"], func(r rune) bool {
			return r != '-' && (r < 'a' || r > 'z')
		}) {
			if strings.HasPrefix(word, "--") && !strings.Contains(string(settings), "| `"+word+"` |") {
				t.Errorf("%s: no program has the flag %s", rule.Alert, word)
			}
		}
	}
}

// scrapeConfig is the part of prometheus.yml that other files depend on.
type scrapeConfig struct {
	Global struct {
		ScrapeInterval string `yaml:"scrape_interval"`
	}
	RuleFiles     []string `yaml:"rule_files"`
	ScrapeConfigs []struct {
		JobName       string                       `yaml:"job_name"`
		StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
	} `yaml:"scrape_configs"`
}

func TestAlertsAreLoadedAndOfTheScrapedJob(t *testing.T) {
	var config scrapeConfig
	readYAML(t, &config, false, prometheusFolder, "prometheus.yml")
	if !slices.Equal(config.RuleFiles, []string{"alerts.yml"}) {
		t.Errorf("prometheus.yml loads %q", config.RuleFiles)
	}
	if len(config.ScrapeConfigs) != 1 {
		t.Fatalf("prometheus.yml has %d jobs", len(config.ScrapeConfigs))
	}
	job := config.ScrapeConfigs[0].JobName
	for _, rule := range alertRules(t) {
		if strings.Count(rule.Expr, "job=") != strings.Count(rule.Expr, `job="`+job+`"`) {
			t.Errorf("%s is not of the job %s: %s", rule.Alert, job, rule.Expr)
		}
	}
	if _, err := time.ParseDuration(config.Global.ScrapeInterval); err != nil {
		t.Error(err)
	}
}
