package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strconv"

	"lbctl/testbed/vm/guest"
	"lbctl/testbed/vm/line"
)

// Trial is a guest without a NIC that runs programs one after the other, as root, and ends. The program of its
// configuration is the first process: it calls guest.RunCommands.
type Trial struct {
	Config
	// CPUs is the number of processors.
	CPUs int
	// Parameters are added to the kernel's command line; what has an "=" and is not known to the kernel
	// is in the environment of the programs.
	Parameters string
	Commands   []line.Command
}

// Run boots the guest and returns what became of its commands, and the name of its kernel. Its error wraps ErrMissing when
// something is not on this machine.
func (t Trial) Run(ctx context.Context) (all []line.Ran, kernel string, err error) {
	emulator, err := emulator(ctx, t.Config)
	if err != nil {
		return nil, "", err
	}
	k, err := findKernel(ctx, t.Config)
	if err != nil {
		return nil, "", err
	}
	root, err := t.initramfs(k)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	t.Step("boot the guest")
	c := exec.Command(emulator, t.arguments(k.image())...)
	console := &console{}
	c.ExtraFiles, c.Stderr = []*os.File{root}, console
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("make line to the guest: %w", err)
	}
	if err := t.Namespace.Start(c); err != nil {
		return nil, "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Kill() })
	defer stop()
	all, err = t.listen(out)
	_, _ = io.Copy(io.Discard, out) // it must be able to end
	if ended := c.Wait(); err == nil {
		err = ended
	}
	if err != nil {
		err = errors.Join(ctx.Err(), fmt.Errorf("run programs in a guest with %s: %w: %s", k.name(), err, console.tail()))
	}
	return all, k.name(), err
}

// listen reads what became of each command.
func (t Trial) listen(out io.Reader) ([]line.Ran, error) {
	all := make([]line.Ran, len(t.Commands))
	in := json.NewDecoder(out)
	for i, c := range t.Commands {
		if err := in.Decode(&all[i]); err != nil {
			return all[:i], fmt.Errorf("wait for %s: %w", c, err)
		}
	}
	return all, nil
}

// arguments are QEMU's: nothing but processors and two serial ports, as those of a machine with a NIC.
func (t Trial) arguments(image string) []string {
	return []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-accel", "tcg,thread=multi", "-machine", "pc", "-cpu", "max", "-smp", strconv.Itoa(t.CPUs), "-m", "1G",
		"-kernel", image, "-initrd", initramfs, "-append", consoleParameters + " " + t.Parameters + " rdinit=/" + initName,
		"-chardev", "file,id=console,path=/dev/stderr", "-serial", "chardev:console",
		"-chardev", "stdio,id=control,signal=off", "-serial", "chardev:control",
	}
}

// initramfs writes the guest's root file system, with the commands.
func (t Trial) initramfs(k kernel) (*os.File, error) {
	commands, err := json.Marshal(t.Commands)
	if err != nil {
		return nil, fmt.Errorf("encode commands: %w", err)
	}
	c := t.Config
	c.Files = map[string][]byte{path.Base(guest.Commands): commands}
	return k.initramfs(c)
}
