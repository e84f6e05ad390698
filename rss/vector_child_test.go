//go:build !goexperiment.simd

package rss

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// TestVectorForm runs this package's tests once more, built with the vector code, so that the
// ordinary test command covers it wherever the CPU and the toolchain have it.
func TestVectorForm(t *testing.T) {
	if !cpu.X86.HasAVX512GFNI || !cpu.X86.HasAVX512VBMI {
		t.Skip("the CPU lacks GFNI or AVX-512 VBMI: the vector code cannot run here")
	}
	if !strings.HasPrefix(runtime.Version(), "go1.26") {
		t.Skipf("%s: the vector code is written for simd/archsimd of go1.26, which makes no promise of compatibility", runtime.Version())
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to build the vector code with")
	}
	c := exec.CommandContext(t.Context(), tool, "test", "-count=1", "-v", ".")
	c.Env = append(os.Environ(), "GOEXPERIMENT=simd")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("GOEXPERIMENT=simd go test: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "--- PASS: TestVectorIsUsed") {
		t.Errorf("the vector code did not run:\n%s", out)
	}
}
