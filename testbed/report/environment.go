package report

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unknown is reported for what cannot be found out.
const unknown = "unknown"

// Gather returns where this process runs, as of now. Rig and XDP are left for
// the experiment to fill in; what cannot be found out is "unknown".
func Gather(now time.Time) Environment {
	host, err := os.Hostname()
	if err != nil {
		host = unknown
	}
	version, commit := build()
	return Environment{
		Time: now.UTC().Format(time.RFC3339), Host: host, Kernel: kernel(),
		CPU: processor(), CPUs: runtime.NumCPU(), Go: runtime.Version(),
		Version: version, Commit: commit,
	}
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return unknown
	}
	text := func(b []byte) string { return string(bytes.TrimRight(b, "\x00")) }
	return text(u.Sysname[:]) + " " + text(u.Release[:]) + " " + text(u.Machine[:])
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return unknown
	}
	for line := range strings.Lines(string(info)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

// build returns the version and the commit that the linker stamped into the binary. "go run" does not stamp it:
// then git is asked in the folder of the source.
func build() (version, commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown, unknown
	}
	version, dirty := info.Main.Version, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if commit == "" {
		return version, sourceCommit()
	}
	return version, commit + dirty
}

// sourceCommit asks git for the commit of this source file's folder.
func sourceCommit() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return unknown
	}
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", filepath.Dir(file)}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "HEAD")
	if err != nil {
		return unknown
	}
	if changes, err := git("status", "--porcelain", "--untracked-files=no"); err == nil && changes != "" {
		commit += "+changes"
	}
	return commit
}
