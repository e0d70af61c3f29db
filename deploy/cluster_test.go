package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// clusterService is the part of a service of cluster.yaml that these tests look at.
type clusterService struct {
	Restart string
	Logging struct {
		Driver  string
		Options map[string]string
	}
	Image       string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	User        string
	CapDrop     []string `yaml:"cap_drop"`
	ReadOnly    bool     `yaml:"read_only"`
}

func readCluster(t *testing.T) (services map[string]clusterService, volumes map[string]any) {
	t.Helper()
	var file struct {
		Services map[string]clusterService
		Volumes  map[string]any
	}
	readYAML(t, &file, false, "cluster.yaml")
	return file.Services, file.Volumes
}

func TestClusterHasItsParts(t *testing.T) {
	services, _ := readCluster(t)
	want := []string{"credentials", "central-1", "central-2"}
	var servers []string
	for i := range 3 {
		name := fmt.Sprintf("nats-%d", i+1)
		servers = append(servers, name+":4222")
		want = append(want, name)
		if got := services[name].Environment["NATS_NAME"]; got != name {
			t.Errorf("%s is named %q", name, got)
		}
	}
	for i := range 5 {
		name := fmt.Sprintf("agency-%d", i+1)
		want = append(want, name)
		addresses := strings.Split(services[name].Environment["CLI_SERVER_ADDRESS"], ",")
		slices.Sort(addresses)
		if !slices.Equal(addresses, []string{"central-1:12345", "central-2:12345"}) || services[name].Environment["CLI_ID"] != fmt.Sprint(i+1) {
			t.Errorf("%s has %v", name, services[name].Environment)
		}
	}
	for _, name := range []string{"central-1", "central-2"} {
		environment := services[name].Environment
		if environment["LEDGER"] != "nats://"+strings.Join(servers, ",") || environment["CENTRAL"] != name || environment["EXPECTED_AGENCIES"] != "5" {
			t.Errorf("%s has %v", name, environment)
		}
		for _, ports := range services[name].Ports {
			if !strings.HasPrefix(ports, "127.0.0.1:${ADMIN_PORT_") {
				t.Errorf("%s publishes %s", name, ports)
			}
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(services)); !slices.Equal(got, want) {
		t.Errorf("the services are %q, want %q", got, want)
	}
}

func TestClusterIsConfined(t *testing.T) {
	services, volumes := readCluster(t)
	for name, s := range services {
		composeService{Restart: s.Restart, Logging: s.Logging}.checkLasting(t, name)
		if s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) || !s.ReadOnly {
			t.Errorf("%s runs as %s without %q, read-only %v", name, s.User, s.CapDrop, s.ReadOnly)
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, declared := volumes[source]; !declared && !strings.HasPrefix(source, ".") {
				t.Errorf("%s: the volume %s is not declared", name, source)
			}
			if _, err := os.Stat(source); strings.HasPrefix(source, ".") && (err != nil || !strings.HasSuffix(volume, ":ro")) {
				t.Errorf("%s mounts %s: %v", name, volume, err)
			}
		}
		// Each sees its own secrets: a server none of the centrals', a central
		// none of the servers', and only their maker the operator's.
		for source, allowed := range map[string]string{"nats:": "nats-", "central:": "central-", "operator:": "nobody"} {
			if name != "credentials" && !strings.HasPrefix(name, allowed) &&
				slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.HasPrefix(v, source) }) {
				t.Errorf("%s mounts %s", name, source)
			}
		}
	}
}

// The image has the version that the tests run, and is built where it cannot be
// pulled.
func TestImageOfNATSIsTheTestedOne(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "cluster", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`nats-io/nats-server/v2 v(\d+\.\d+)\.`).FindStringSubmatch(string(content))[1]
	image := "nats:" + version + "-alpine"
	services, _ := readCluster(t)
	if got, want := services["nats-1"].Image, "${NATS_IMAGE:-"+image+"}"; got != want {
		t.Errorf("cluster.yaml has the image %s, want %s", got, want)
	}
	for name, want := range map[string]string{
		"local-images.sh":             "ensure_image " + image + " make_nats",
		"kubernetes/nats-values.yaml": "tag: " + version + "-alpine\n",
	} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q (%v)", name, want, err)
		}
	}
}
