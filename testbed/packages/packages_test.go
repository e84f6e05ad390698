package packages

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
