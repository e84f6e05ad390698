package bed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// instance is where one load balancer of a run keeps its files: a folder in the run's, and a pin directory.
type instance struct{ path, program string }

// instance makes the folder of a load balancer. The name is unique in the run; letters, digits and dashes.
func (d folder) instance(name string) (instance, error) {
	i := d.at(name)
	if err := os.Mkdir(i.path, 0o700); err != nil {
		return instance{}, fmt.Errorf("make folder of a load balancer: %w", err)
	}
	return i, nil
}

func (d folder) at(name string) instance {
	return instance{path: filepath.Join(d.path, name), program: d.program}
}

// Socket, State and Config are the paths of the daemon's socket, of the directory of its state, and
// of the file that it starts from.
func (i instance) Socket() string { return filepath.Join(i.path, "sock") }
func (i instance) State() string  { return filepath.Join(i.path, "state") }
func (i instance) Config() string { return filepath.Join(i.path, "lbctl.yaml") }

// Pins is the pin directory, directly below the BPF file system: KIND-ID-NAME.
func (i instance) Pins() string {
	name, _ := strings.CutPrefix(i.path, runDir+"/")
	return filepath.Join("/sys/fs/bpf", strings.ReplaceAll(name, "/", "-"))
}

// Purge removes everything that the load balancer pinned, which ends forwarding. Its daemon must not run.
func (i instance) Purge() error {
	purge := exec.Command(i.program, "purge", "--pin-dir", i.Pins(), "--socket", i.Socket())
	if said, err := purge.CombinedOutput(); err != nil {
		return fmt.Errorf("purge the pins of %s: %w: it said:\n%s", i.path, err, said)
	}
	return nil
}
