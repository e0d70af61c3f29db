//go:build e2e

// Package e2e tests the system as others see it: containers, files, commands
// and log lines, on a real Docker engine. It uses the project's own names
// (project tp0, containers server, client1 and so on), so its tests run one
// after the other, and not beside another lottery.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"loteria/docs/markdown"
)

const (
	root    = "../.."
	project = "tp0"
	network = project + "_testing_net"
	volume  = project + "_bets"
	busybox = "busybox:latest"

	// buildTimeout is for both images, with nothing in the builder's cache.
	buildTimeout = 10 * time.Minute
)

// pristine is a copy of the tree, made before the first test: no test sees later
// changes, and none changes the checkout.
var pristine string

func TestMain(m *testing.M) {
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (code int, err error) {
	if err := lookForOthers(); err != nil {
		return 0, err
	}
	if pristine, err = os.MkdirTemp("", "loteria-e2e-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(pristine)) }()
	if err := copyTree(pristine, root); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	build := exec.CommandContext(ctx, "sh", "-c", markdown.Quoted("make docker-image"))
	build.Dir, build.Stdout, build.Stderr = pristine, os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("make docker-image: %w", err)
	}
	return m.Run(), nil
}

var ownNames = regexp.MustCompile(`(?m)^(server|client\d+|` + network + `|` + volume + `|(nats|central|agency)-\d|` + clusterProject + `_\w.*)$`)

// lookForOthers returns an error if there is no engine, or if something under the
// project's names exists that these tests would destroy.
func lookForOthers() error {
	for what, args := range map[string][]string{
		"containers": {"ps", "--all", "--format", "{{.Names}}"},
		"networks":   {"network", "ls", "--format", "{{.Name}}"},
		"volumes":    {"volume", "ls", "--format", "{{.Name}}"},
	} {
		output, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("these tests need a Docker engine: %w: %s", err, output)
		}
		if found := ownNames.FindAllString(string(output), -1); found != nil {
			return fmt.Errorf("there are %s of this project that these tests would destroy: %s; "+
				"remove them (make docker-compose-down, docker compose -f deploy/cluster.yaml down --volumes) and run the tests again",
				what, strings.Join(found, ", "))
		}
	}
	if output, err := exec.Command("docker", "compose", "version").CombinedOutput(); err != nil {
		return fmt.Errorf("these tests need docker compose (deploy/local-images.sh): %w: %s", err, output)
	}
	return nil
}

// notCopied are folders that nothing in containers needs.
var notCopied = map[string]bool{".git": true, "bin": true, "run": true, "bench": true}

// copyTree copies the files and the symbolic links below a folder.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case entry.IsDir() && notCopied[name]:
			return filepath.SkipDir
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case entry.Type()&os.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, info.Mode().Perm())
	})
}
