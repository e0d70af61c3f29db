package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"loteria/docs/markdown"
)

const root = ".."

// documents returns all Markdown files of the project.
func documents(t *testing.T) (all []markdown.Document) {
	t.Helper()
	for _, name := range files(t) {
		if strings.HasSuffix(name, ".md") {
			all = append(all, markdown.Parse(name, read(t, name)))
		}
	}
	if len(all) == 0 {
		t.Fatal("the project has no documents")
	}
	return all
}

// files returns the project's files, committed or not, relative to the root. What
// Git ignores is left out.
func files(t *testing.T) (names []string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git to ask which files are the project's")
	}
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Skip("this is no repository: Git does not know which files are the project's")
	}
	// The files may belong to another user.
	list := exec.Command("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	output, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(output), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil { // not removed since the last commit
			names = append(names, name)
		}
	}
	return slices.Compact(names) // during a merge one may be there three times
}

// read returns the text of a file, named from the root.
func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// A reader has ten minutes.
func TestREADMEIsShort(t *testing.T) {
	const most = 180
	if lines := strings.Count(read(t, "README.md"), "\n"); lines > most {
		t.Errorf("README.md has %d lines, at most %d are wanted: put what is longer into docs/", lines, most)
	}
}

// What one must know before anything works is on the first page.
func TestREADMESaysWhatIsNeeded(t *testing.T) {
	readme := read(t, "README.md")
	mod := read(t, "go.mod")
	_, version, _ := strings.Cut(mod, "\ngo ")
	version, _, _ = strings.Cut(version, "\n")
	for _, needed := range []string{"Go " + strings.TrimSuffix(version, ".0"), "Docker 20.10", "Compose 2.3.3", "WSL", "core.symlinks", "65532"} {
		if !strings.Contains(readme, needed) {
			t.Errorf("README.md does not say %q", needed)
		}
	}
}
