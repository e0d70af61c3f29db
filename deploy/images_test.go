package deploy

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const module = "loteria"

// dockerfile is a Dockerfile's instructions, each with its continuation lines.
type dockerfile []string

func readDockerfile(t *testing.T, program string) (file dockerfile) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(program, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(content), "")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if words := strings.Fields(line); len(words) > 0 {
			file = append(file, strings.Join(words, " "))
		}
	}
	return file
}

// stage returns the instructions from one FROM to the next.
func (f dockerfile) stage(from string) dockerfile {
	begin := slices.IndexFunc(f, func(line string) bool { return strings.HasPrefix(line, "FROM "+from) })
	if begin < 0 {
		return nil
	}
	end := slices.IndexFunc(f[begin+1:], func(line string) bool { return strings.HasPrefix(line, "FROM ") })
	if end < 0 {
		return f[begin:]
	}
	return f[begin : begin+1+end]
}

// compiled returns the packages that the stage's go build compiles.
func (f dockerfile) compiled() (packages []string) {
	for _, line := range f {
		if build, found := strings.CutPrefix(line, "RUN go build "); found {
			build, _, _ = strings.Cut(build, " && ")
			packages = append(packages, strings.Fields(build)...)
		}
	}
	return packages
}

// copied returns the folders of the project in the stage.
func (f dockerfile) copied() (folders []string) {
	for _, line := range f {
		if words := strings.Fields(line); words[0] == "COPY" && words[1] != "go.mod" {
			folders = append(folders, words[1])
		}
	}
	return folders
}

// dependencies returns the packages and all that they import.
func dependencies(t *testing.T, packages ...string) map[string]bool {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to ask what packages import")
	}
	list := exec.Command("go", append([]string{"list", "-deps"}, packages...)...)
	list.Dir = root
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	list.Stderr = os.Stderr
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(output)) {
		all[strings.TrimSpace(line)] = true
	}
	return all
}

// isOurs and isForeign leave out Go's own packages, whose paths have no host.
func isOurs(name string) bool { return strings.HasPrefix(name, module+"/") }

func isForeign(name string) bool {
	host, _, _ := strings.Cut(name, "/")
	return strings.Contains(host, ".")
}

// A change in the code compiles only the code: exactly the packages that it
// imports are in layers below.
func TestImagesCompileDependenciesFirst(t *testing.T) {
	for _, program := range []string{"server", "client"} {
		t.Run(program, func(t *testing.T) {
			file := readDockerfile(t, program)
			first := file.stage("golang:")
			if folders := first.copied(); len(folders) > 0 {
				t.Errorf("the stage of the dependencies has the project's %q", folders)
			}
			before, needed := dependencies(t, first.compiled()...), dependencies(t, "./cmd/"+program)
			for name := range needed {
				if isForeign(name) && !before[name] {
					t.Errorf("%s is compiled again after each change: add it, or what imports it, to go build in the first stage of deploy/%s/Dockerfile", name, program)
				}
			}
			for name := range before {
				if !needed[name] {
					t.Errorf("%s is compiled, and the %s does not import it", name, program)
				}
			}
		})
	}
}

// Each image has exactly what its program imports. A folder named internal may be
// in both.
func TestImagesHaveTheirOwnCode(t *testing.T) {
	for _, program := range []string{"server", "client"} {
		t.Run(program, func(t *testing.T) {
			needed := dependencies(t, "./cmd/"+program)
			folders := readDockerfile(t, program).stage("dependencies").copied()
			inFolder := func(name, folder string) bool {
				name = strings.TrimPrefix(name, module+"/")
				if parent, found := strings.CutSuffix(folder, "/*.go"); found {
					return name == parent
				}
				return name == folder || strings.HasPrefix(name, folder+"/")
			}
			for name := range needed {
				if isOurs(name) && !slices.ContainsFunc(folders, func(folder string) bool { return inFolder(name, folder) }) {
					t.Errorf("%s is not copied: add it to deploy/%s/Dockerfile", name, program)
				}
			}
			for _, folder := range folders {
				if path.Base(folder) == "internal" {
					continue
				}
				for name := range dependencies(t, "./cmd/server", "./cmd/client") {
					if inFolder(name, folder) && isOurs(name) && !needed[name] {
						t.Errorf("%s is copied, and the %s does not import it", name, program)
					}
				}
			}
		})
	}
}

// Whichever image is built second finds these layers in the cache.
func TestImagesBeginAlike(t *testing.T) {
	server, client := readDockerfile(t, "server"), readDockerfile(t, "client")
	end := 1 + slices.IndexFunc(server, func(line string) bool { return strings.HasPrefix(line, "RUN ") })
	if end == 0 || !slices.Equal(server[:end], client[:end]) {
		t.Errorf("they begin with\n%s\nand\n%s", strings.Join(server[:end], "\n"), strings.Join(client[:end], "\n"))
	}
}

// The version of Go is exactly the one in go.mod.
func TestImagesNameTheVersionOfGo(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(content))[1]
	script, err := os.ReadFile("local-images.sh")
	if err != nil {
		t.Fatal(err)
	}
	if want := "golang:" + version; !strings.Contains(string(script), "ensure_image "+want+" ") {
		t.Errorf("local-images.sh does not make %s", want)
	}
	for _, program := range []string{"server", "client"} {
		if got, want := readDockerfile(t, program)[0], "FROM golang:"+version+" AS dependencies"; got != want {
			t.Errorf("%s: %s, want %s", program, got, want)
		}
	}
}

// To mount a folder of the host one must know its required owner.
func TestDocumentsNameTheUser(t *testing.T) {
	for _, program := range []string{"server", "client"} {
		file := readDockerfile(t, program)
		user := strings.TrimPrefix(file[slices.IndexFunc(file, func(line string) bool { return strings.HasPrefix(line, "USER ") })], "USER ")
		uid, gid, _ := strings.Cut(user, ":")
		for name, says := range map[string]string{
			"README.md":         "el usuario " + uid + " del grupo " + gid,
			"docs/operators.md": `docker run --rm -v "$PWD/bets:/bets" busybox chown ` + user + " /bets",
		} {
			document, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(document), says) {
				t.Errorf("%s does not say: %s", name, says)
			}
		}
	}
}

// A central that reads 10^8 bets at its start does not become unhealthy.
func TestHealthSurvivesALongStart(t *testing.T) {
	const (
		bets         = 100_000_000
		bytesOfBet   = 50
		slowDisk     = 20_000_000 // bytes per second
		timeToReadIn = bets * bytesOfBet / slowDisk * time.Second
	)
	file := readDockerfile(t, "server")
	check := file[slices.IndexFunc(file, func(line string) bool { return strings.HasPrefix(line, "HEALTHCHECK ") })]
	option := regexp.MustCompile(` --start-period=(\S+) `).FindStringSubmatch(check)
	if option == nil {
		t.Fatalf("%s: there is no start period", check)
	}
	if period, err := time.ParseDuration(option[1]); err != nil || period < timeToReadIn {
		t.Errorf("the start period is %s, %v, want %s at least", option[1], err, timeToReadIn)
	}
}
