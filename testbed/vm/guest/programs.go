package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"lbctl/testbed/vm/line"
)

// Commands is the file of a guest that has a list of commands, as JSON.
const Commands = "/commands"

// RunCommands is the whole life of a guest that runs programs: it loads the modules, runs the commands one after the
// other, tells the host of each how it went, and turns the machine off. It returns only with an error.
func RunCommands() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("run commands: process %d of a machine that is not a guest", os.Getpid())
	}
	if err := errors.Join(mount(), mountForPrograms(), loadModules(Modules)); err != nil {
		return err
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(Commands)
	if err != nil {
		return fmt.Errorf("read commands: %w", err)
	}
	var commands []line.Command
	if err := json.Unmarshal(text, &commands); err != nil {
		return fmt.Errorf("read %s: %w", Commands, err)
	}
	if err := runAll(commands, port); err != nil {
		return err
	}
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// runAll runs commands and writes what became of each.
func runAll(commands []line.Command, to io.Writer) error {
	out := json.NewEncoder(to)
	for _, c := range commands {
		if err := out.Encode(runOne(c)); err != nil {
			return fmt.Errorf("tell the host: %w", err)
		}
	}
	return nil
}

func runOne(c line.Command) (ran line.Ran) {
	said, err := exec.Command(c[0], c[1:]...).CombinedOutput()
	ran.Output = string(said)
	if err != nil {
		ran.Failed = err.Error()
	}
	return ran
}

// mountForPrograms mounts what tests of the datapath use.
func mountForPrograms() error {
	for _, m := range []struct{ kind, at string }{{"tmpfs", "/tmp"}, {"bpf", "/sys/fs/bpf"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}
