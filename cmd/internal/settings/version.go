package settings

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// release is the version of a program that was built where Go cannot know it, as in
// an image, which has no repository: go build -ldflags "-X …=v1.2.3".
var release string

// version is the command's name, what it was built from, and Go's version.
func (s *Set) version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return fmt.Sprintf("%s %s %s %s/%s\n", s.name, versionOf(release, info), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// versionOf is the release, or else the module's version, with the commit, its
// time and whether files were changed since, as far as they are known and the
// version does not say them.
func versionOf(release string, info *debug.BuildInfo) string {
	if release != "" {
		return release
	}
	const short = 12 // digits of a commit, as in a module's version
	version, details := strings.TrimSuffix(info.Main.Version, "+dirty"), []string{}
	if version == "" || version == "(devel)" {
		version = "devel"
	}
	vcs := map[string]string{}
	for _, setting := range info.Settings {
		vcs[setting.Key] = setting.Value
	}
	commit := vcs["vcs.revision"]
	if commit = commit[:min(short, len(commit))]; commit != "" && !strings.Contains(version, commit) {
		details = append(details, commit)
		if time := vcs["vcs.time"]; time != "" {
			details = append(details, time)
		}
	}
	if vcs["vcs.modified"] == "true" {
		details = append(details, "modified")
	}
	if len(details) == 0 {
		return version
	}
	return version + " (" + strings.Join(details, ", ") + ")"
}
