package settings

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the command's name, the module's version or else the revision it
// was built from, and Go's version.
func (s *Set) version() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = versionOf(info)
	}
	return fmt.Sprintf("%s %s %s %s/%s\n", s.name, version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	version := "devel"
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			version = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			version += "+dirty"
		}
	}
	return version
}
