package progress

import (
	"strings"
	"testing"
)

// TestProgress: a log gets a line for each step; a terminal gets a bar, and nothing of it stays.
func TestProgress(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out strings.Builder
		p := New(&out, terminal)
		p.Begin(100)
		p.Step("clients ask")
		p.At(50)
		p.Step("control: spray")
		p.At(70)
		p.End()
		if !strings.Contains(out.String(), "clients ask") || !strings.Contains(out.String(), "control: spray") {
			t.Errorf("terminal %v: a step is missing: %q", terminal, &out)
		}
		if lines := "clients ask\ncontrol: spray\n"; !terminal && out.String() != lines {
			t.Errorf("log is %q, want %q", &out, lines)
		}
		if terminal && strings.Contains(out.String(), "\n") {
			t.Errorf("the bar scrolls: %q", &out)
		}
	}
}
