//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"loteria/docs/markdown"
)

func TestImages(t *testing.T) {
	const maxSize = 20_000_000 // bytes
	l := &lab{T: t, dir: pristine}
	for _, name := range []string{"server", "client"} {
		var images []struct {
			Size   int
			Config struct {
				User        string
				Healthcheck *struct {
					Test        []string
					StartPeriod time.Duration
				}
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
		if name == "server" && (image.Config.Healthcheck == nil || image.Config.Healthcheck.StartPeriod == 0) {
			t.Error("the central has no HEALTHCHECK, or no start period of it")
		}
		if output := l.docker("run", "--rm", name+":latest", "--help"); !strings.Contains(output, "--config") {
			t.Errorf("%s --help prints %q", name, output)
		}
	}
}

// A change in the central's code leaves the agency's image as it is, and in the
// central's the layers below the code.
func TestRebuildLeavesWhatHasNotChanged(t *testing.T) {
	l := newLab(t)
	build := func(name string, options ...string) string {
		args := append([]string{"build", "--quiet", "--file", "./" + name + "/Dockerfile"}, options...)
		return l.docker(append(args, ".")...)
	}
	images := func() (dependencies, server, client string) {
		return build("server", "--target", "dependencies"), build("server"), build("client")
	}
	dependencies, server, client := images()
	l.write("reactor/change.go", "package reactor\n\nfunc init() { println(\"changed\") }\n")
	dependenciesAfter, serverAfter, clientAfter := images()
	if dependenciesAfter != dependencies {
		t.Error("what the central imports was compiled again")
	}
	if clientAfter != client {
		t.Error("the agency's image was built again")
	}
	if serverAfter == server {
		t.Error("the central's image is without the change")
	}
	l.docker("rmi", strings.TrimSpace(serverAfter))
}

// A failed health check makes no container unhealthy that is still starting: here
// the check looks for port 0, on which nothing can listen.
func TestHealthOfALongStart(t *testing.T) {
	l := newLab(t)
	const name = "server"
	l.docker("run", "--detach", "--name", name, "--env", "SERVER_PORT=0", "server:latest")
	t.Cleanup(func() { l.docker("rm", "--force", "--volumes", name) })
	type health struct {
		Status string
		Log    []struct {
			Start    string
			ExitCode int
		}
	}
	var retries int
	checks := map[string]bool{} // by their start time
	for deadline := time.Now().Add(time.Minute); len(checks) <= retries+1; time.Sleep(glance) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute only %d checks were made", len(checks))
		}
		var containers []struct {
			State  struct{ Health health }
			Config struct{ Healthcheck struct{ Retries int } }
		}
		if err := json.Unmarshal([]byte(l.docker("inspect", name)), &containers); err != nil {
			t.Fatal(err)
		}
		retries = containers[0].Config.Healthcheck.Retries
		seen := containers[0].State.Health
		for _, check := range seen.Log {
			checks[check.Start] = true
			if check.ExitCode == 0 {
				t.Fatal("a check has succeeded, this test is of no use")
			}
		}
		if seen.Status != "starting" {
			t.Fatalf("after %d checks it is %s", len(checks), seen.Status)
		}
	}
}

// The central can use a folder of the host with the owner that the operators' page says.
func TestFolderOfTheHost(t *testing.T) {
	l := newLab(t)
	bets := filepath.Join(l.dir, "bets")
	if err := os.Mkdir(bets, 0o755); err != nil {
		t.Fatal(err)
	}
	l.shell(markdown.Quoted(`docker run --rm -v "$PWD/bets:/bets" busybox chown 65532:65532 /bets`))
	t.Cleanup(func() { // or only root could remove it
		l.docker("run", "--rm", "--volume", bets+":/bets", busybox, "chown", "-R", fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), "/bets")
	})
	const name = "server"
	l.docker("run", "--detach", "--name", name, "--volume", bets+":/bets", "server:latest")
	t.Cleanup(func() { l.docker("rm", "--force", "--volumes", name) })
	l.await(name, "listen", "success", 1)
	if _, err := os.Stat(filepath.Join(bets, "bets.csv")); err != nil {
		t.Error(err)
	}
}

// Local time is that of TZ, though the images have no time zone files.
func TestTimeZone(t *testing.T) {
	const ahead = 14 * time.Hour // of UTC, all year round
	for name, test := range map[string]struct {
		action string // that it logs
		args   []string
	}{
		"server":  {"listen", []string{"--env", "SERVER_PORT=0", "server:latest"}},
		"client1": {"config", []string{"--env", "CLI_ID=1", "--env", "CLI_MODE=echo", "--env", "CLI_LOOP_AMOUNT=0", "client:latest"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			begun := time.Now()
			l.docker(append([]string{"run", "--detach", "--name", name, "--env", "TZ=Pacific/Kiritimati"}, test.args...)...)
			t.Cleanup(func() { l.docker("rm", "--force", "--volumes", name) })
			l.await(name, test.action, "success", 1)
			logged, err := time.Parse(time.DateTime, l.logs(name)[0].text[:len(time.DateTime)])
			if err != nil {
				t.Fatal(err)
			}
			if since := logged.Sub(begun.UTC()); since < ahead-time.Minute || since > ahead+patience {
				t.Errorf("it logs %v, %v ahead of UTC, want %v", logged, since, ahead)
			}
		})
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
