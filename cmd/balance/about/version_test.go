package about_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/cmd/balance"
	"lbctl/cmd/cli/clitest"
	"lbctl/control/client"
	"lbctl/lb/testns"
)

// version is what scripts read of it.
type version struct {
	Programs []struct{ Name, Tag string }
	Loaded   struct {
		Programs []struct {
			Pin, Name, Tag string
			Ours           bool `json:"is_of_this_build"`
		}
	}
}

func versionOf(t *testing.T, w *clitest.World, pins string) (v version) {
	t.Helper()
	if err := json.Unmarshal([]byte(w.OK("version", "-o", "json", "--pin-dir", pins)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// known checks that a program of this build is loaded and known as such.
func known(t *testing.T, w *clitest.World, pins, name string) {
	t.Helper()
	v, found := versionOf(t, w, pins), 0
	for _, p := range v.Loaded.Programs {
		for _, c := range v.Programs {
			if c.Name == name && p.Name == name {
				found++
				if !p.Ours || p.Tag != c.Tag {
					t.Errorf("the kernel has %+v, this build %+v", p, c)
				}
			}
		}
	}
	if found == 0 {
		t.Errorf("%s is not among what is loaded: %+v", name, v.Loaded.Programs)
	}
}

// The programs of a daemon of this build are known by their tags, that of a monitor, too; another one under their name is of another build.
func TestVersionOfTheDaemon(t *testing.T) {
	need.Root(t)
	testns.Enter(t)
	testns.Veth(t, "eth0", "10.0.0.254/24")
	w, pins := clitest.New(t, balance.Commands), testns.PinDir(t)
	w.Kernel = balance.XDP{}
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig), "--pin-dir", pins)
	known(t, w, pins, "lb")
	d := client.New(w.Path("s"))
	defer d.Close()
	samples, err := d.Monitor(t.Context(), client.Watched{})
	if err != nil {
		t.Fatal(err)
	}
	known(t, w, pins, "lb_monitored")
	if err := samples.Close(); err != nil {
		t.Error(err)
	}
	if text := w.OK("version", "--pin-dir", pins); strings.Contains(text, "another build") {
		t.Errorf("all are of this build:\n%s", text)
	}
	if code := w.Stop(); code != 0 {
		t.Fatalf("serve ended with %d: %s", code, w.Log)
	}
	pin := filepath.Join(pins, "lb")
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	if err := testns.Program(t, "lb").Pin(pin); err != nil {
		t.Fatal(err)
	}
	for _, p := range versionOf(t, w, pins).Loaded.Programs {
		if p.Pin == "lb" && p.Ours {
			t.Errorf("another program is said to be ours: %+v", p)
		}
	}
	if text := w.OK("version", "--pin-dir", pins); !strings.Contains(text, ", of another build: tag ") {
		t.Errorf("lb is of another build:\n%s", text)
	}
}
