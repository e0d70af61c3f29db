//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"loteria/docs/markdown"
)

const (
	observabilityName = "deploy/observability.yaml"
	figures           = project + "_prometheus" // the volume
	prometheusImage   = "loteria-e2e-prometheus"
	grafanaImage      = "loteria-e2e-grafana"
	// glance is the interval of polling.
	glance = 200 * time.Millisecond
)

// observed is the environment of the merged files: local images, and free ports of
// this machine.
var observed = []string{"PROMETHEUS_IMAGE=" + prometheusImage, "GRAFANA_IMAGE=" + grafanaImage, "ADMIN_PORT=0", "PROMETHEUS_PORT=0", "GRAFANA_PORT=0"}

// composeObserved runs docker compose on the lab's file and the one beside it.
func (l *lab) composeObserved(args ...string) string {
	l.Helper()
	return l.runWith(observed, "docker", append([]string{"compose", "-f", composeName, "-f", observabilityName}, args...)...)
}

func TestObservabilityFileMerges(t *testing.T) {
	for name, agencies := range map[string]int{"shipped": 5, "none": 0, "one": 1, "hundred": 100} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			if name != "shipped" {
				l.generate(agencies)
			}
			var merged struct {
				Services map[string]struct {
					Environment map[string]string
					Networks    map[string]any
					Volumes     []struct{ Type, Source string }
					Ports       []struct {
						HostIP string `json:"host_ip"`
					}
				}
				Volumes map[string]any
			}
			if err := json.Unmarshal([]byte(l.composeObserved("config", "--format", "json")), &merged); err != nil {
				t.Fatal(err)
			}
			if want := agencies + 3; len(merged.Services) != want {
				t.Errorf("Compose sees %d services, want %d", len(merged.Services), want)
			}
			central := merged.Services["server"]
			if central.Environment["ADMIN_ADDRESS"] != "0.0.0.0:8080" || central.Environment["CONTEST"] != l.contest() {
				t.Errorf("the central's environment is %v", central.Environment)
			}
			for _, service := range []string{"server", "prometheus", "grafana"} {
				merged := merged.Services[service]
				if _, joined := merged.Networks["testing_net"]; !joined {
					t.Errorf("%s is in the networks %v", service, merged.Networks)
				}
				if len(merged.Ports) != 1 || merged.Ports[0].HostIP != "127.0.0.1" {
					t.Errorf("%s publishes %v", service, merged.Ports)
				}
				for _, volume := range merged.Volumes {
					if _, err := os.Stat(volume.Source); volume.Type == "bind" && err != nil {
						t.Errorf("%s: what is mounted is not there: %v", service, err)
					}
				}
			}
			for _, name := range []string{"bets", "prometheus"} {
				if _, declared := merged.Volumes[name]; !declared {
					t.Errorf("the volumes are %v", merged.Volumes)
				}
			}
		})
	}
}

// A whole lottery, as Prometheus sees it; then the central goes away.
func TestPrometheusSeesTheCentral(t *testing.T) {
	l := newLab(t)
	l.makePrometheusImage()
	l.makeGrafanaImage()
	// Their logs do not have our shape: they are removed before the others are
	// checked.
	t.Cleanup(l.forgetPrometheus)

	l.provide(300, 200)
	l.configureClient(usual)
	l.generate(2)
	l.runWith(observed, "sh", "-ec", markdown.Quoted("docker compose -f docker-compose-dev.yaml -f deploy/observability.yaml up -d"))
	l.awaitAnswer("server", "8080", "/")
	l.awaitAnswer("prometheus", "9090", "/-/ready")
	l.awaitAnswer("grafana", "3000", "/api/health")
	l.finish(2)

	l.awaitResult(`up{job="central"}`, 1)
	l.awaitResult(`loteria_ready`, 1)
	l.awaitResult(`sum(loteria_bets_total)`, 500)
	l.awaitResult(`sum(loteria_agency_told)`, 2)
	l.awaitResult(`loteria_draw_phase{phase="drawn"}`, 1)
	l.checkRules()
	if firing := l.query(`ALERTS{alertstate="firing"}`); len(firing) > 0 {
		t.Errorf("nothing went wrong, and there are alerts: %v", firing)
	}

	l.compose("stop", "server")
	l.awaitResult(`up{job="central"}`, 0)
	l.awaitResult(`count(ALERTS{alertname="CentralDown", alertstate="firing"})`, 1)

	l.composeObserved("rm", "--stop", "--force", "prometheus", "grafana")
	l.checkUndisturbed()
	l.checkShape()
	l.composeObserved("down", "--volumes")
	if volumes := strings.Fields(l.docker("volume", "ls", "--quiet", "--filter", "name="+project+"_")); len(volumes) > 0 {
		t.Errorf("down --volumes left %q", volumes)
	}
}

// makePrometheusImage makes an image of this machine's Prometheus: no test needs
// a registry.
func (l *lab) makePrometheusImage() {
	l.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		l.Skip("prometheus is not installed here (Debian's package is prometheus): no image of it can be made")
	}
	folder := l.TempDir()
	// Its libraries come along, in a folder of their own: the image may have
	// others where they belong.
	start := []string{"/opt/prometheus"}
	copyInto := func(name, from string) {
		content, err := os.ReadFile(from)
		if err != nil {
			l.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o755); err != nil {
			l.Fatal(err)
		}
	}
	copyInto("prometheus", program)
	// It fails for a static program, which needs none.
	libraries, _ := exec.Command("ldd", program).Output()
	for line := range strings.Lines(string(libraries)) {
		for _, word := range strings.Fields(line) {
			if !filepath.IsAbs(word) {
				continue
			}
			name := filepath.Base(word)
			copyInto(name, word)
			if strings.HasPrefix(name, "ld-") {
				start = []string{"/opt/" + name, "--library-path", "/opt", "/opt/prometheus"}
			}
		}
	}
	entrypoint, err := json.Marshal(start)
	if err != nil {
		l.Fatal(err)
	}
	// As in the official image: the data does not belong to root.
	dockerfile := fmt.Sprintf("FROM %s\nCOPY . /opt/\nRUN mkdir /prometheus && chown 65534:65534 /prometheus\nUSER 65534:65534\nENTRYPOINT %s\n",
		busybox, entrypoint)
	if err := os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		l.Fatal(err)
	}
	l.docker("build", "--quiet", "--tag", prometheusImage, folder)
	l.Cleanup(func() { l.docker("rmi", "--force", prometheusImage) })
}

// makeGrafanaImage makes an image that is Grafana to its health check only. What
// Grafana would show is checked by the tests of deploy.
func (l *lab) makeGrafanaImage() {
	l.Helper()
	folder := l.TempDir()
	dockerfile := "FROM " + busybox + "\nRUN mkdir -p /www/api && echo '{}' >/www/api/health\n" +
		`ENTRYPOINT ["httpd", "-f", "-p", "3000", "-h", "/www"]` + "\nSTOPSIGNAL SIGKILL\n"
	if err := os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		l.Fatal(err)
	}
	l.docker("build", "--quiet", "--tag", grafanaImage, folder)
	l.Cleanup(func() { l.docker("rmi", "--force", grafanaImage) })
}

// awaitAnswer waits until a service answers 200 on the port of this machine under
// which its own is published.
func (l *lab) awaitAnswer(service, port, path string) {
	l.Helper()
	address := "http://" + strings.TrimSpace(l.composeObserved("port", service, port)) + path
	var got string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(glance) {
		response, err := http.Get(address)
		if err != nil {
			got = err.Error()
			continue
		}
		response.Body.Close()
		if got = response.Status; response.StatusCode == http.StatusOK {
			return
		}
	}
	l.Fatalf("after a minute %s, %s, answers %s", service, address, got)
}

// forgetPrometheus removes the two containers, and the data.
func (l *lab) forgetPrometheus() {
	if l.Failed() {
		output, _ := l.command(observed, "docker", "compose", "-f", composeName, "-f", observabilityName,
			"logs", "--tail", "50", "prometheus").CombinedOutput()
		l.Logf("the last lines of prometheus:\n%s", output)
	}
	l.composeObserved("rm", "--stop", "--force", "prometheus", "grafana")
	l.docker("volume", "rm", "--force", figures)
}

// sample is one series of a query's result.
type sample struct {
	Metric map[string]string
	Value  [2]any // when, and the number as text
}

// ask gets a path of Prometheus' API and decodes its data. It reports whether
// Prometheus answered: it may be starting.
func (l *lab) ask(path string, data any) bool {
	l.Helper()
	output, err := l.command(observed, "docker", "compose", "-f", composeName, "-f", observabilityName,
		"exec", "-T", "prometheus", "wget", "-q", "-O", "-", "http://127.0.0.1:9090/api/v1/"+path).Output()
	if err != nil {
		return false
	}
	answer := struct {
		Status string
		Data   any
	}{Data: data}
	if err := json.Unmarshal(output, &answer); err != nil || answer.Status != "success" {
		l.Fatalf("%s: %v: %s", path, err, output)
	}
	return true
}

// query returns the current series of an expression.
func (l *lab) query(expr string) []sample {
	l.Helper()
	var data struct{ Result []sample }
	if !l.ask("query?query="+url.QueryEscape(expr), &data) {
		return nil
	}
	return data.Result
}

// awaitResult polls until an expression has one series with this value.
func (l *lab) awaitResult(expr string, want float64) {
	l.Helper()
	var last []sample
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(glance) {
		last = l.query(expr)
		if len(last) != 1 {
			continue
		}
		text, _ := last[0].Value[1].(string)
		if got, err := strconv.ParseFloat(text, 64); err == nil && got == want {
			return
		}
	}
	l.Fatalf("after a minute %s is %v, want %v", expr, last, want)
}

// checkRules waits until Prometheus has evaluated its rules, and reports alerts
// of the file that it lacks or cannot evaluate.
func (l *lab) checkRules() {
	l.Helper()
	content, err := os.ReadFile(filepath.Join(l.dir, "deploy/prometheus/alerts.yml"))
	if err != nil {
		l.Fatal(err)
	}
	var file struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		l.Fatal(err)
	}
	health := l.ruleHealth()
	for deadline := time.Now().Add(time.Minute); slices.Contains(slices.Collect(maps.Values(health)), "unknown"); health = l.ruleHealth() {
		if time.Now().After(deadline) {
			l.Fatalf("after a minute rules are not evaluated: %v", health)
		}
		time.Sleep(glance)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if health[rule.Alert] != "ok" {
				l.Errorf("the health of the alert %s is %q", rule.Alert, health[rule.Alert])
			}
		}
	}
}

// ruleHealth returns the health of each rule in Prometheus: unknown until it is
// evaluated, then ok or what is wrong.
func (l *lab) ruleHealth() map[string]string {
	l.Helper()
	var loaded struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if !l.ask("rules", &loaded) {
		l.Fatal("Prometheus does not tell its rules")
	}
	health := map[string]string{}
	for _, group := range loaded.Groups {
		for _, rule := range group.Rules {
			health[rule.Name] = rule.Health + rule.LastError
		}
	}
	return health
}
