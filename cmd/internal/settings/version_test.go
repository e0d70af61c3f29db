package settings

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionOf(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	settings := func(pairs ...string) (all []debug.BuildSetting) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	known := settings("vcs", "git", "vcs.revision", commit, "vcs.time", "2026-11-26T07:05:12Z", "vcs.modified", "false")
	changed := settings("vcs", "git", "vcs.revision", commit, "vcs.time", "2026-11-26T07:05:12Z", "vcs.modified", "true")
	for _, test := range []struct {
		want, release, version string
		settings               []debug.BuildSetting
	}{
		{"devel", "", "", nil},
		{"devel", "", "(devel)", settings("-trimpath", "true")},
		{"devel (0123456789ab, 2026-11-26T07:05:12Z)", "", "(devel)", known},
		{"devel (0123456789ab, 2026-11-26T07:05:12Z, modified)", "", "(devel)", changed},
		{"devel (0123)", "", "", settings("vcs.revision", "0123")},
		{"v1.2.3", "", "v1.2.3", nil},
		{"v1.2.3 (0123456789ab, 2026-11-26T07:05:12Z)", "", "v1.2.3", known},
		{"v1.2.3 (0123456789ab, 2026-11-26T07:05:12Z, modified)", "", "v1.2.3+dirty", changed},
		{"v1.2.4-0.20261126070512-0123456789ab", "", "v1.2.4-0.20261126070512-0123456789ab", known},
		{"v1.2.4-0.20261126070512-0123456789ab (modified)", "", "v1.2.4-0.20261126070512-0123456789ab+dirty", changed},
		{"v2.0.0", "v2.0.0", "(devel)", known},
	} {
		if got := versionOf(test.release, &debug.BuildInfo{Main: debug.Module{Version: test.version}, Settings: test.settings}); got != test.want {
			t.Errorf("%q, %q: got %s, want %s", test.release, test.version, got, test.want)
		}
	}
}

// A program says which commit it was built from, and an image's its release.
func TestVersionOfAProgram(t *testing.T) {
	for _, program := range []string{"go", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s", program)
		}
	}
	folder := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		command := exec.Command(name, args...)
		command.Dir = folder
		command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b.example", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b.example")
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, output)
		}
		return strings.TrimSpace(string(output))
	}
	source, err := os.ReadFile("version.go")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		".gitignore": "program\n",
		"go.mod":     "module loteria\n\ngo 1.26\n",
		"version.go": strings.Replace(string(source), "package settings", "package main", 1),
		"main.go":    "package main\n\nimport \"fmt\"\n\ntype Set struct{ name string }\n\nfunc main() { fmt.Print((&Set{\"program\"}).version()) }\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := func(args ...string) string {
		t.Helper()
		run("go", append([]string{"build", "-trimpath", "-o", "program"}, args...)...)
		return run("./program")
	}
	run("git", "init", "--quiet")
	run("git", "add", ".")
	run("git", "commit", "--quiet", "--message", "first")
	commit := run("git", "rev-parse", "HEAD")[:12]
	if got := build("-buildvcs=true"); !strings.Contains(got, commit) || strings.Contains(got, "modified") {
		t.Errorf("of %s: %s", commit, got)
	}
	run("git", "tag", "v1.2.3")
	if got, want := build("-buildvcs=true"), "program v1.2.3 ("+commit+", "; !strings.HasPrefix(got, want) {
		t.Errorf("with a tag: %s, want %s…", got, want)
	}
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte("module loteria\n\ngo 1.26.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := build("-buildvcs=true"); !strings.Contains(got, commit) || !strings.Contains(got, "modified)") {
		t.Errorf("of %s with a change: %s", commit, got)
	}
	if got, want := build("-buildvcs=false"), "program devel go1."; !strings.HasPrefix(got, want) {
		t.Errorf("without a repository: %s, want %s…", got, want)
	}
	if got, want := build("-buildvcs=false", "-ldflags=-s -w -X main.release=v9"), "program v9 go1."; !strings.HasPrefix(got, want) {
		t.Errorf("of an image: %s, want %s…", got, want)
	}
}
