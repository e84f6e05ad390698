package packages

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lbctl/bpf/need"
	"lbctl/lb"
)

// TestPolicy: ours goes, that of a killed run too; somebody else's stays.
func TestPolicy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy-rc.d")
	allow, err := forbidDaemons(file)
	if err != nil {
		t.Fatal(err)
	}
	if i, err := os.Stat(file); err != nil || i.Mode().Perm()&0o111 == 0 {
		t.Fatalf("the policy cannot be executed: %v, %v", i, err)
	}
	// A killed run never allows: the next one clears.
	if err := clearPolicy(file); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the policy of a killed run is left")
	}
	if err := allow(); err != nil {
		t.Errorf("allow what is allowed: %v", err)
	}
	const foreign = "#!/bin/sh\nexit 0\n"
	if err := os.WriteFile(file, []byte(foreign), 0o755); err != nil {
		t.Fatal(err)
	}
	if allow, err = forbidDaemons(file); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(allow(), clearPolicy(file)); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); string(text) != foreign {
		t.Errorf("somebody's policy is now %q", text)
	}
}

// TestInstallFails: the packages are named, with what apt-get says and what to do, in one line each.
func TestInstallFails(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	const broken = "#!/bin/sh\necho 'Err:1 http://deb.debian.org bookworm'\necho 'E: Unable to fetch some archives'\necho 'E: Broken'\necho 'E: More'\nexit 100\n"
	if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(broken), 0o700); err != nil {
		t.Fatal(err)
	}
	err := Install(t.Context(), "memcached", "nginx")
	var failed *InstallError
	if !errors.As(err, &failed) || err.Error() != "install memcached, nginx: apt-get: Unable to fetch some archives; Broken" {
		t.Fatalf("error %v", err)
	}
	if want := "where there is a network: apt-get update && apt-get install memcached nginx"; failed.Hint() != want {
		t.Errorf("hint %q, want %q", failed.Hint(), want)
	}
	if err := os.Remove(filepath.Join(dir, "apt-get")); err != nil {
		t.Fatal(err)
	}
	if err := Install(t.Context(), "memcached"); !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("without apt-get: %v", err)
	}
}
