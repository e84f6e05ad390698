package repolint

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// units is the folder of the files for systemd.
const units = "../systemd"

// mostExposed is how exposed the daemon may be, of 100, as systemd-analyze security counts.
const mostExposed = "30"

// TestUnits has systemd read the unit, and say how exposed the daemon is.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here")
	}
	// What the unit runs must be there to be found right.
	text, err := os.ReadFile(filepath.Join(units, "lbctl.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "lbctl.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/lbctl", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", "--man=no", unit}, {"security", "--offline=yes", "--threshold=" + mostExposed, unit}} {
		if out, err := exec.Command(analyze, args...).CombinedOutput(); err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}
