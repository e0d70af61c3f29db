package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	root = ".."
	// committedContest is the name of the lottery in docker-compose-dev.yaml.
	committedContest = "loteria-nacional"
)

// composeFile is the part of a Compose file that these tests look at.
type composeFile struct {
	Services map[string]composeService
}

type composeService struct {
	Environment []string
	Restart     string
	Logging     struct {
		Driver  string
		Options map[string]string
	}
}

// checkLasting reports a service that is never restarted, that is restarted
// forever, or whose log is unbounded.
func (s composeService) checkLasting(t *testing.T, name string) {
	t.Helper()
	if !regexp.MustCompile(`^on-failure:[1-9]\d?$`).MatchString(s.Restart) {
		t.Errorf("%s: restart is %q", name, s.Restart)
	}
	logging := s.Logging
	if logging.Driver != "json-file" || !regexp.MustCompile(`^[1-9]\d?m$`).MatchString(logging.Options["max-size"]) ||
		!regexp.MustCompile(`^[1-9]$`).MatchString(logging.Options["max-file"]) {
		t.Errorf("%s: the log is written with %+v", name, logging)
	}
}

// generate runs the script with only this environment, and PATH.
func generate(t *testing.T, environment []string, args ...string) (output string, err error) {
	t.Helper()
	command := exec.Command("bash", append([]string{"generar-compose.sh"}, args...)...)
	command.Dir = root
	command.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	combined, err := command.CombinedOutput()
	return string(combined), err
}

// generated returns the file for that many agencies, as bytes and parsed.
func generated(t *testing.T, environment []string, agencies string) ([]byte, composeFile) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "compose.yaml")
	if output, err := generate(t, environment, path, agencies); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var parsed composeFile
	if err := yaml.Unmarshal(content, &parsed); err != nil {
		t.Fatalf("%v in:\n%s", err, content)
	}
	return content, parsed
}

func TestCommittedComposeFileIsTheGenerated(t *testing.T) {
	committed, err := os.ReadFile(filepath.Join(root, "docker-compose-dev.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	content, _ := generated(t, []string{"CONTEST=" + committedContest}, "5")
	if !bytes.Equal(content, committed) {
		t.Errorf("docker-compose-dev.yaml is not what this writes: CONTEST=%s bash generar-compose.sh docker-compose-dev.yaml 5",
			committedContest)
	}
}

func TestGeneratedServices(t *testing.T) {
	for agencies, want := range map[string]int{"0": 1, "1": 2, "5": 6, "100": 101} {
		_, file := generated(t, nil, agencies)
		if len(file.Services) != want {
			t.Errorf("%s agencies: %d services, want %d", agencies, len(file.Services), want)
		}
	}
}

func TestServicesLast(t *testing.T) {
	for _, mode := range []string{"batch", "bet", "echo"} {
		_, file := generated(t, []string{"CLI_MODE=" + mode}, "2")
		for name, service := range file.Services {
			service.checkLasting(t, mode+": "+name)
		}
	}
	var observability composeFile
	readYAML(t, &observability, false, "observability.yaml")
	for name, service := range observability.Services {
		if name != "server" { // which the other file has already
			service.checkLasting(t, name)
		}
	}
}

func TestGeneratorSaysWhatItWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "compose.yaml")
	output, err := generate(t, []string{"CONTEST=navidad"}, path, "3")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{path, "3", "navidad"} {
		if !strings.Contains(output, part) {
			t.Errorf("%q is not in %q", part, output)
		}
	}
}

func TestModeInAnyCase(t *testing.T) {
	_, file := generated(t, []string{"CLI_MODE=Echo"}, "1")
	if got := file.Services["client1"].Environment; !slices.Contains(got, "CLI_MODE=echo") {
		t.Errorf("client1 has %q", got)
	}
}

func TestEachGeneratedFileIsItsOwnLottery(t *testing.T) {
	first, _ := generated(t, nil, "1")
	second, _ := generated(t, nil, "1")
	if bytes.Equal(first, second) {
		t.Error("two files have the same contest")
	}
}

func TestGeneratorRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		environment []string
		args        []string
		says        string
	}{
		"nothing":             {nil, nil, "uso:"},
		"no number":           {nil, []string{"FILE"}, "uso:"},
		"a word":              {nil, []string{"FILE", "cinco"}, "uso:"},
		"less than none":      {nil, []string{"FILE", "-1"}, "uso:"},
		"half an agency":      {nil, []string{"FILE", "1.5"}, "uso:"},
		"too many":            {nil, []string{"FILE", "100001"}, "uso:"},
		"far too many":        {nil, []string{"FILE", "99999999999999999999"}, "uso:"},
		"something more":      {nil, []string{"FILE", "5", "6"}, "uso:"},
		"no file name":        {nil, []string{"", "5"}, "uso:"},
		"a mode":              {[]string{"CLI_MODE=lote"}, []string{"FILE", "5"}, "CLI_MODE"},
		"a path as a contest": {[]string{"CONTEST=../otro"}, []string{"FILE", "5"}, "CONTEST"},
		"a hidden contest":    {[]string{"CONTEST=.x"}, []string{"FILE", "5"}, "CONTEST"},
		"a line break":        {[]string{"CLI_MODE=bet", "NOMBRE=a\nb"}, []string{"FILE", "5"}, "NOMBRE"},
		"no UTF-8":            {[]string{"CLI_MODE=bet", "APELLIDO=a\xff"}, []string{"FILE", "5"}, "APELLIDO"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "compose.yaml")
			for i, arg := range test.args {
				test.args[i] = strings.ReplaceAll(arg, "FILE", path)
			}
			output, err := generate(t, test.environment, test.args...)
			if err == nil || !strings.Contains(output, test.says) {
				t.Errorf("%v: %q", err, output)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("a file was written")
			}
		})
	}
}

func TestGeneratorReportsWhatItCannotWrite(t *testing.T) {
	if output, err := generate(t, nil, filepath.Join(t.TempDir(), "none", "compose.yaml"), "1"); err == nil {
		t.Errorf("no error: %s", output)
	}
}

// That it is one YAML value; e2e tests what Compose reads back.
func TestBetVariables(t *testing.T) {
	name := `María "la Ñata" O'Neil \ $HOME ${HOME} # : {x}`
	_, file := generated(t, []string{"CLI_MODE=bet", "NOMBRE=" + name}, "2")
	environment := file.Services["client2"].Environment
	want := []string{"CLI_ID=2", "CLI_MODE=bet", "NOMBRE=" + strings.ReplaceAll(name, "$", "$$")}
	for i, variable := range want {
		if len(environment) != 7 || environment[i] != variable {
			t.Fatalf("client2 has %q, want it to begin with %q and to have 7", environment, want)
		}
	}
	for i, variable := range []string{"APELLIDO", "DOCUMENTO", "NACIMIENTO", "NUMERO"} {
		if value, found := strings.CutPrefix(environment[3+i], variable+"="); !found || value == "" {
			t.Errorf("%s has no default: %q", variable, environment)
		}
	}
}
