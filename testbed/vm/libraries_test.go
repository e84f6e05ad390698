package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A static program needs no libraries; a dynamic one needs those that ldd lists.
func TestLibraries(t *testing.T) {
	ldd, err := exec.LookPath("ldd")
	if err != nil {
		t.Skip("needs ldd, for a second opinion")
	}
	program, err := os.ReadFile("/bin/bash")
	if err != nil {
		t.Skip("needs a dynamically linked program, bash")
	}
	got, err := libraries(program)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), ldd, "/bin/bash").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range got {
		if !strings.Contains(string(out), filepath.Base(library)) {
			t.Errorf("%s, which ldd does not list:\n%s", library, out)
		}
	}
	// linux-vdso is the kernel's own.
	if want := strings.Count(string(out), "\n") - strings.Count(string(out), "linux-vdso"); len(got) != want || want == 0 {
		t.Errorf("libraries %q, want %d:\n%s", got, want, out)
	}
	if got, err := libraries(newModule("static")); err != nil || len(got) != 0 {
		t.Errorf("libraries of a static file: %q, %v", got, err)
	}
	if _, err := libraries([]byte("#!/bin/sh\n")); err == nil {
		t.Error("a script has libraries")
	}
}
