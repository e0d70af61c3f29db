package report

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine describes the machine: processor, memory, kernel, disk of the folder,
// Go, and the commit of the working folder.
func Machine(folder string) string {
	return fmt.Sprintf("%d × %s, %s, %s; %s on %s; %s; commit %s",
		runtime.NumCPU(), processor(), memory(), kernel(), fileSystem(folder), device(folder), runtime.Version(), commit())
}

func processor() string { return field("/proc/cpuinfo", "model name", "a processor without a name") }

func memory() string {
	kibibytes, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal", ""), " kB"))
	if err != nil {
		return "memory of unknown size"
	}
	return fmt.Sprintf("%.0f GiB", float64(kibibytes)/(1<<20))
}

// field returns the value of the first line with the name in a file of the
// kernel's.
func field(path, name, otherwise string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "an unknown kernel"
	}
	return unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
}

func fileSystem(folder string) string {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return "an unknown file system"
	}
	switch fs.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs (memory, no disk)"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("a file system of type %#x", fs.Type)
}

// device returns the block device that the folder is on.
func device(folder string) string {
	var stat unix.Stat_t
	if err := unix.Stat(folder, &stat); err != nil {
		return "an unknown disk"
	}
	sys := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev))
	name := ""
	event, _ := os.ReadFile(sys + "/uevent")
	for line := range strings.Lines(string(event)) {
		if value, ok := strings.CutPrefix(line, "DEVNAME="); ok {
			name = strings.TrimSpace(value)
		}
	}
	if name == "" {
		return "a disk without a name"
	}
	return name
}

func commit() string {
	hash, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	if changes, err := exec.Command("git", "status", "--porcelain").Output(); err != nil || len(changes) > 0 {
		return strings.TrimSpace(string(hash)) + " with changes"
	}
	return strings.TrimSpace(string(hash))
}
