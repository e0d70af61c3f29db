package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type observability struct {
	Services map[string]observedService
	Volumes  map[string]any
}

type observedService struct {
	Image       string
	Environment []string
	Ports       []string
	Volumes     []string
	Networks    []string
	Healthcheck struct{ Test []string }
	Logging     struct {
		Driver  string
		Options map[string]string
	}
}

func readObservability(t *testing.T) (file observability) {
	t.Helper()
	readYAML(t, &file, false, "observability.yaml")
	return file
}

// mounts maps the paths inside the service to what is mounted there.
func (s observedService) mounts() map[string]string {
	mounts := map[string]string{}
	for _, volume := range s.Volumes {
		parts := strings.Split(volume, ":")
		mounts[parts[1]] = parts[0]
	}
	return mounts
}

// None of the services asks for a password.
func TestNothingIsPublishedToOthers(t *testing.T) {
	want := map[string]string{
		"server":     "127.0.0.1:${ADMIN_PORT:-8080}:8080",
		"prometheus": "127.0.0.1:${PROMETHEUS_PORT:-9090}:9090",
		"grafana":    "127.0.0.1:${GRAFANA_PORT:-3000}:3000",
	}
	services := readObservability(t).Services
	if len(services) != len(want) {
		t.Errorf("%d services, want %d", len(services), len(want))
	}
	for name, ports := range want {
		if got := services[name].Ports; !slices.Equal(got, []string{ports}) {
			t.Errorf("%s publishes %q, want %q alone", name, got, ports)
		}
	}
}

func TestObservedCentralHasItsAdminPort(t *testing.T) {
	// Anything else set here would apply to every generated file.
	if got := readObservability(t).Services["server"].Environment; !slices.Equal(got, []string{"ADMIN_ADDRESS=0.0.0.0:8080", "ADMIN_HOSTS=server"}) {
		t.Errorf("the central's environment is %q", got)
	}
	var config scrapeConfig
	readYAML(t, &config, false, prometheusFolder, "prometheus.yml")
	static := config.ScrapeConfigs[0].StaticConfigs
	if len(static) != 1 || !slices.Equal(static[0].Targets, []string{"server:8080"}) {
		t.Errorf("Prometheus scrapes %v, and not that port", static)
	}
}

func TestLogsAreBounded(t *testing.T) {
	for name, service := range readObservability(t).Services {
		options := service.Logging.Options
		if service.Logging.Driver != "json-file" || options["max-size"] == "" || options["max-file"] == "" { // the driver: others have other options
			t.Errorf("%s: nothing bounds its log: %+v", name, service.Logging)
		}
	}
}

// pinned is an image of a registry with its whole version, or another from the
// environment.
var pinned = regexp.MustCompile(`^\$\{[A-Z]+_IMAGE:-[a-z]+/[a-z]+:v?\d+\.\d+\.\d+\}$`)

func TestImagesArePinnedAndReplaceable(t *testing.T) {
	for name, service := range readObservability(t).Services {
		if name == "server" {
			continue
		}
		if !pinned.MatchString(service.Image) {
			t.Errorf("%s: the image is %q", name, service.Image)
		}
		if !slices.Equal(service.Networks, []string{"testing_net"}) {
			t.Errorf("%s is in the networks %q", name, service.Networks)
		}
		if len(service.Healthcheck.Test) == 0 {
			t.Errorf("%s: nobody looks whether it is well", name)
		}
	}
}

func TestWhatIsMountedIsThere(t *testing.T) {
	file := readObservability(t)
	for name, service := range file.Services {
		for inside, source := range service.mounts() {
			if !strings.HasPrefix(source, ".") {
				if _, declared := file.Volumes[source]; !declared {
					t.Errorf("%s: the volume %s is not declared", name, source)
				}
				continue
			}
			if info, err := os.Stat(filepath.Join(root, source)); err != nil || !info.IsDir() {
				t.Errorf("%s: %s is no folder: %v", name, source, err)
			}
			if !slices.Contains(service.Volumes, source+":"+inside+":ro") {
				t.Errorf("%s may write to %s", name, source)
			}
		}
	}
}
