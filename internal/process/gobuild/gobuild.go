// Package gobuild builds programs for tests, once for all tests of a package.
package gobuild

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Programs are built when the first of them is asked for.
type Programs struct {
	folder string
	build  func() error
}

// New returns the programs that "go build" makes of these arguments, packages among
// them, in the folder of a module.
func New(module string, args ...string) *Programs {
	p := new(Programs)
	p.build = sync.OnceValue(func() (err error) {
		if p.folder, err = os.MkdirTemp("", "loteria-programs-"); err != nil {
			return err
		}
		build := exec.Command("go", append([]string{"build", "-o", p.folder + string(filepath.Separator)}, args...)...)
		build.Dir = module
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, output)
		}
		return nil
	})
	return p
}

// Folder returns the folder with the programs, and nothing else.
func (p *Programs) Folder(t testing.TB) string {
	t.Helper()
	if err := p.build(); err != nil {
		t.Fatal(err)
	}
	return p.folder
}

// Remove removes the folder, when all tests are over.
func (p *Programs) Remove() {
	if p.folder != "" {
		_ = os.RemoveAll(p.folder)
	}
}
