//go:build e2e

package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func TestImages(t *testing.T) {
	const maxSize = 20_000_000 // bytes
	l := &lab{T: t, dir: pristine}
	for _, name := range []string{"server", "client"} {
		var images []struct {
			Size   int
			Config struct {
				User        string
				Healthcheck *struct{ Test []string }
			}
		}
		if err := json.Unmarshal([]byte(l.docker("image", "inspect", name+":latest")), &images); err != nil {
			t.Fatal(err)
		}
		image := images[0]
		if image.Size >= maxSize {
			t.Errorf("%s has %d bytes", name, image.Size)
		}
		if user, _, _ := strings.Cut(image.Config.User, ":"); user == "" || user == "root" || user == "0" {
			t.Errorf("%s runs as %q", name, image.Config.User)
		}
		if name == "server" && image.Config.Healthcheck == nil {
			t.Error("the central has no HEALTHCHECK")
		}
		if output := l.docker("run", "--rm", name+":latest", "--help"); !strings.Contains(output, "--config") {
			t.Errorf("%s --help prints %q", name, output)
		}
	}
}

// Without images, Compose builds them, and never looks for them in a registry.
func TestComposeBuildsWhatIsMissing(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"server", "client"} {
		// Kept under another name, to be put back.
		l.docker("tag", name+":latest", "loteria-e2e-"+name)
		l.docker("rmi", name+":latest")
		t.Cleanup(func() {
			l.docker("tag", "loteria-e2e-"+name, name+":latest")
			l.docker("rmi", "loteria-e2e-"+name)
		})
	}
	l.configureClient(usual)
	l.generate(2, "CLI_MODE=echo")
	l.up()
	l.finish(2)
	l.checkUndisturbed()
}

func TestComposeAcceptsGeneratedFiles(t *testing.T) {
	l := newLab(t)
	for _, agencies := range []int{0, 1, 5, 100} {
		for _, mode := range []string{"batch", "bet", "echo"} {
			l.generate(agencies, "CLI_MODE="+mode)
			services := strings.Fields(l.compose("config", "--services"))
			if len(services) != agencies+1 {
				t.Errorf("%d agencies in mode %s: Compose sees %s services", agencies, mode, strconv.Itoa(len(services)))
			}
		}
	}
}

func TestNoAgencies(t *testing.T) {
	l := newLab(t)
	l.generate(0)
	l.up()
	l.await("server", "listen", "success", 1)
	if got := strings.Join(l.containers(), " "); got != "server" {
		t.Errorf("the containers are %q", got)
	}
	l.checkUndisturbed()
}
