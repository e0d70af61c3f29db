package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"loteria/docs/markdown"
)

// clone is a clone of the commit, made by a Git with these settings.
type clone struct {
	t   *testing.T
	dir string
	env []string
}

func newClone(t *testing.T, settings string) clone {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	origin, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(origin, ".git")); err != nil {
		t.Skip("this is no repository, it cannot be cloned")
	}
	// The files may belong to another user.
	config := filepath.Join(t.TempDir(), "gitconfig")
	if err := os.WriteFile(config, []byte("[safe]\n\tdirectory = *\n"+settings), 0o644); err != nil {
		t.Fatal(err)
	}
	c := clone{t: t, dir: t.TempDir(), env: []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + config}}
	c.run("git", "clone", "--quiet", "--no-hardlinks", origin, ".")
	return c
}

// run runs a command in the clone and returns what it prints.
func (c clone) run(name string, args ...string) string {
	c.t.Helper()
	command := exec.Command(name, args...)
	command.Dir, command.Env = c.dir, c.env
	output, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, output)
	}
	return string(output)
}

// On Windows Git usually ends lines with CR LF. The checkout must equal the commit
// all the same: neither a shell nor a Linux image would take it otherwise, and in
// some test data every byte counts.
func TestCheckoutWithCRLF(t *testing.T) {
	c := newClone(t, "[core]\n\tautocrlf = true\n\teol = crlf\n")
	files := 0
	for line := range strings.Lines(c.run("git", "ls-files", "--eol")) {
		about, name, _ := strings.Cut(line, "\t")
		ends := strings.Fields(about) // i/lf w/lf attr/…
		if committed, out := strings.TrimPrefix(ends[0], "i/"), strings.TrimPrefix(ends[1], "w/"); committed != out {
			t.Errorf("%s is committed with %s and checked out with %s", strings.TrimSpace(name), committed, out)
		}
		files++
	}
	if files == 0 {
		t.Error("the clone is empty")
	}
	c.run("bash", "generar-compose.sh", "compose.yaml", "1")
	if changed := c.run("git", "status", "--porcelain", "--untracked-files=no"); changed != "" {
		t.Errorf("a clone has changes:\n%s", changed)
	}
}

// Where Git makes no symbolic links, README says how to get the folders.
func TestCheckoutWithoutSymbolicLinks(t *testing.T) {
	for name, command := range map[string]string{
		"copied": markdown.Quoted("rm server client && cp -r deploy/server deploy/client ."),
		"linked": markdown.Quoted("git config core.symlinks true && git checkout server client"),
	} {
		t.Run(name, func(t *testing.T) {
			c := newClone(t, "[core]\n\tsymlinks = false\n")
			if output := c.run("bash", "generar-compose.sh", "compose.yaml", "1"); !strings.Contains(output, "README") {
				t.Errorf("without its folders the generator says %q", output)
			}
			c.run("sh", "-c", command)
			for _, name := range []string{"server/Dockerfile", "server/config.ini", "client/Dockerfile", "client/config.yaml"} {
				if _, err := os.Stat(filepath.Join(c.dir, name)); err != nil {
					t.Error(err)
				}
			}
			if output := c.run("bash", "generar-compose.sh", "compose.yaml", "1"); strings.Contains(output, "README") {
				t.Errorf("with its folders the generator says %q", output)
			}
		})
	}
}
