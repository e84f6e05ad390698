package rundir

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Home is where a load balancer of a run keeps its things: a folder in the run's, and pins.
type Home struct{ path, program string }

// Home makes that of a load balancer. The name is unique in the run; letters, digits and dashes.
func (f *Folder) Home(name string) (Home, error) {
	h := f.home(name)
	if err := os.Mkdir(h.path, 0o700); err != nil {
		return Home{}, fmt.Errorf("make folder of a load balancer: %w", err)
	}
	return h, nil
}

func (f *Folder) home(name string) Home { return Home{path: f.Path(name), program: f.program} }

// Program is the path of the lbctl binary.
func (h Home) Program() string { return h.program }

// Socket, State and Config are the paths of the daemon's socket, of the directory of its state, and
// of the file that it starts from.
func (h Home) Socket() string { return filepath.Join(h.path, "sock") }
func (h Home) State() string  { return filepath.Join(h.path, "state") }
func (h Home) Config() string { return filepath.Join(h.path, "lbctl.yaml") }

// Pins is the pin directory, directly below the BPF file system: lbctl-KIND-ID-NAME.
func (h Home) Pins() string {
	name, _ := strings.CutPrefix(h.path, base+"/")
	return filepath.Join("/sys/fs/bpf", strings.ReplaceAll(name, "/", "-"))
}

// Purge removes everything that the load balancer pinned, which ends forwarding. Its daemon must not run.
func (h Home) Purge() error {
	purge := exec.Command(h.program, "purge", "--pin-dir", h.Pins(), "--socket", h.Socket())
	if said, err := purge.CombinedOutput(); err != nil {
		return fmt.Errorf("purge the pins of %s: %w: it said:\n%s", h.path, err, said)
	}
	return nil
}
