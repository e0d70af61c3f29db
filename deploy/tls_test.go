package deploy

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// tlsFile is a Compose file to use beside that of generar-compose.sh, for TLS.
type tlsFile struct {
	Services map[string]tlsService
}

type tlsService struct {
	Environment []string
	Ports       []string
	Volumes     []struct {
		Type, Source, Target string
		ReadOnly             bool `yaml:"read_only"`
		Bind                 struct {
			CreateHostPath *bool `yaml:"create_host_path"`
		}
	}
}

func parseTLS(t *testing.T, content []byte) (file tlsFile) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	return file
}

// check fails the test unless the file is for that many agencies, each of which
// sees only its own key.
func (f tlsFile) check(t *testing.T, agencies int) {
	t.Helper()
	owners := map[string]string{"server": "central"}
	environments := map[string][]string{"server": {"SERVER_PORT=off", "TLS_PORT=12346", "TLS_CLIENT_CA=/certs/authority.pem",
		"TLS_CERT=/certs/central.pem", "TLS_KEY=/certs/central-key.pem", "TLS_REVOKED=/certs/revoked.txt"}}
	for i := range agencies {
		name, owner := fmt.Sprintf("client%d", i+1), fmt.Sprintf("agency-%d", i+1)
		owners[name] = owner
		environments[name] = []string{"CLI_SERVER_ADDRESS=server:12346", "CLI_TLS_CA=/certs/authority.pem",
			"CLI_TLS_CERT=/certs/" + owner + ".pem", "CLI_TLS_KEY=/certs/" + owner + "-key.pem"}
	}
	if got, want := slices.Sorted(maps.Keys(f.Services)), slices.Sorted(maps.Keys(owners)); !slices.Equal(got, want) {
		t.Fatalf("the services are %q, want %q", got, want)
	}
	for name, service := range f.Services {
		if !slices.Equal(service.Environment, environments[name]) || len(service.Ports) > 0 {
			t.Errorf("%s has %q and publishes %q, want %q and nothing", name, service.Environment, service.Ports, environments[name])
		}
		if len(service.Volumes) != 1 {
			t.Errorf("%s has %d volumes, want one", name, len(service.Volumes))
			continue
		}
		v := service.Volumes[0]
		if v.Type != "bind" || v.Source != "./certs/"+owners[name] || v.Target != "/certs" || !v.ReadOnly ||
			v.Bind.CreateHostPath == nil || *v.Bind.CreateHostPath {
			t.Errorf("%s mounts %+v", name, v)
		}
	}
}

func readTLS(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile("tls.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// It fits the committed file.
func TestTLSHasItsParts(t *testing.T) {
	file := parseTLS(t, readTLS(t))
	file.check(t, 5)
	_, generated := generated(t, nil, "5")
	for name := range file.Services {
		if _, there := generated.Services[name]; !there {
			t.Errorf("%s is no service of the generated file", name)
		}
	}
}

// The command at its head makes a file for another number of agencies.
func TestTLSForAnotherNumber(t *testing.T) {
	head, _, _ := strings.Cut(string(readTLS(t)), "services:")
	command := regexp.MustCompile(`(?s)\{ sed .*?>tls-7\.yaml`).FindString(head)
	if command == "" {
		t.Fatal("tls.yaml does not say how")
	}
	folder, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), "tls-7.yaml")
	bash := exec.Command("bash", "-c", strings.Replace(strings.ReplaceAll(command, "\n# ", "\n"), ">tls-7.yaml", ">"+made, 1))
	bash.Dir = folder
	if output, err := bash.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	content, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	parseTLS(t, content).check(t, 7)
}

// Every container gets its own key and no other, and none the authority's. A fake
// docker stands in for the engine that changes the group.
func TestMountCerts(t *testing.T) {
	folder := t.TempDir()
	certs := filepath.Join(folder, "certs")
	docker := filepath.Join(folder, "docker")
	if err := os.WriteFile(docker, []byte("#!/bin/sh\nprintf '%s\\n' \"$*\" >\"${0%/*}/said\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	mount := func() (string, error) {
		script := exec.Command("bash", "mount-certs.sh", certs)
		script.Env = append(os.Environ(), "PATH="+folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
		output, err := script.CombinedOutput()
		return string(output), err
	}
	if output, err := mount(); err == nil || !strings.Contains(output, "there is no "+certs+"/authority.pem") {
		t.Errorf("without certificates: %v, %q", err, output)
	}
	if err := os.Mkdir(certs, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(certs, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("authority.pem", "authority")
	write("authority-key.pem", "secret")
	if output, err := mount(); err == nil || !strings.Contains(output, "has no key of a central or an agency") {
		t.Errorf("with an authority alone: %v, %q", err, output)
	}
	for _, name := range []string{"central", "agency-1", "agency-12"} {
		write(name+".pem", name)
		write(name+"-key.pem", "key of "+name)
	}
	write("agency-2.pem", "agency-2") // whose key is elsewhere
	for range 2 {                     // the second changes nothing
		if output, err := mount(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	for name, want := range map[string][]string{
		"central":   {"authority.pem", "central-key.pem", "central.pem", "revoked.txt"},
		"agency-1":  {"agency-1-key.pem", "agency-1.pem", "authority.pem"},
		"agency-12": {"agency-12-key.pem", "agency-12.pem", "authority.pem"},
		"agency-2":  nil,
	} {
		var got []string
		entries, _ := os.ReadDir(filepath.Join(certs, name))
		for _, entry := range entries {
			got = append(got, entry.Name())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	said, err := os.ReadFile(filepath.Join(folder, "said"))
	if want := "sh /certs/central /certs/agency-1 /certs/agency-12\n"; err != nil || !strings.HasSuffix(string(said), want) {
		t.Errorf("the engine was told %q (%v), want %q", said, err, want)
	}
	// After a renewal, what was revoked stays revoked.
	if err := os.WriteFile(filepath.Join(certs, "central", "revoked.txt"), []byte("agency 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	write("central.pem", "renewed")
	if output, err := mount(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for name, want := range map[string]string{"central.pem": "renewed", "revoked.txt": "agency 3\n"} {
		if got, err := os.ReadFile(filepath.Join(certs, "central", name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
}
