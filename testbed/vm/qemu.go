package vm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
	"lbctl/testbed/packages"
	"lbctl/testbed/vm/guest"
	"lbctl/testbed/vm/line"
)

const (
	// tap is the host's end of the wire.
	tap = "wire"
	// Queues is the number of queue pairs of the NIC.
	Queues = 4
	// vectors are the NIC's interrupts: one for each queue of either direction, one for the control queue, one for
	// changes of its configuration.
	vectors = 2*Queues + 2
	memory  = "384M"
	// initramfs is the first extra file of the process.
	initramfs = "/dev/fd/3"
)

// arguments are QEMU's. Every device costs time at boot: -nodefaults leaves out what is not named. Without
// ctrl_vlan=off QEMU would drop frames with a VLAN tag that the guest has not registered. There are as many processors as queues:
// the driver tells the device once, at its start, to use as many queues as the guest has processors, and the device
// folds what the table says into those (Linux 6.1, virtnet_init_default_rss; QEMU, virtio_net_receive_rcu).
func arguments(image string, config Config) []string {
	common := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-accel", "tcg", "-machine", "pc", "-m", memory, "-kernel", image, "-initrd", initramfs,
		"-append", commandLine + cmp.Or(config.Role, guest.Helper().Name) + " {}",
		"-chardev", "file,id=console,path=/dev/stderr", "-serial", "chardev:console",
		"-chardev", "stdio,id=control,signal=off", "-serial", "chardev:control",
	}
	if config.Role != "" {
		return append(common, nics(config.NICs)...)
	}
	return append(common, "-cpu", "qemu64", "-smp", strconv.Itoa(Queues),
		"-netdev", fmt.Sprintf("tap,id=net,ifname=%s,script=no,downscript=no,vhost=off,queues=%d", tap, Queues),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=net,mq=on,rss=on,hash=on,ctrl_vlan=off,vectors=%d,rx_queue_size=1024,romfile=", vectors),
	)
}

// nics are the arguments of a guest with NICs of its own. It has one processor: what interrupts it interrupts the
// application.
func nics(all []NIC) []string {
	arguments := []string{"-cpu", "max", "-smp", "1"}
	for i, n := range all {
		arguments = append(arguments,
			"-netdev", fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no,vhost=off", i, Wire(i)),
			"-device", fmt.Sprintf("%s,netdev=net%d,mac=%v,romfile=", n.Model, i, n.MAC))
	}
	return arguments
}

// consoleParameters are the kernel's: a panic ends the machine, the console shows errors only, and a host that is busy while
// the guest tries its timer does not end it.
const consoleParameters = "console=ttyS0 loglevel=4 panic=-1 mitigations=off no_timer_check"

// commandLine is the kernel's: the guest sends no frame by itself, and the arguments after -- are the program's.
const commandLine = consoleParameters + " ipv6.disable=1 rdinit=/" + initName + " -- " + helper.Command + " "

// version asks QEMU for its version.
func version(ctx context.Context, emulator string) (string, error) {
	out, err := ask(ctx, "", emulator, "-version")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first, nil
}

// start starts QEMU in a namespace. Its standard input and output are the line to the guest, its standard
// error is the guest's console.
func (m *Machine) start(config Config, emulator string, root *os.File) error {
	c := exec.Command(emulator, arguments(m.kernel.image(), config)...)
	c.ExtraFiles = []*os.File{root}
	m.console = &console{}
	c.Stderr = m.console
	control, err := c.StdinPipe()
	if err != nil {
		return fmt.Errorf("make line to the guest: %w", err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return fmt.Errorf("make line to the guest: %w", err)
	}
	if err := config.Namespace.Start(c); err != nil {
		return err
	}
	m.qemu, m.control, m.messages = c, control, make(chan line.Message)
	go m.listen(line.NewReader(out))
	return nil
}

// listen passes on the guest's messages until it hangs up.
func (m *Machine) listen(r *line.Reader) {
	defer close(m.messages)
	for {
		message, err := r.Read()
		if err != nil {
			return
		}
		m.messages <- message
	}
}

// wire is the host's end of the guest's cable: a packet socket on the TAP.
type wire struct{ fd int }

// openWire sets the link up and opens a socket that sends on it and receives nothing.
func openWire(l netns.Link) (*wire, error) {
	if err := l.Up(); err != nil {
		return nil, err
	}
	w := &wire{}
	err := l.Namespace().Do(func() (err error) {
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	if err := unix.Bind(w.fd, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
		_ = w.close()
		return nil, fmt.Errorf("bind packet socket to %s: %w", l.Name, err)
	}
	return w, nil
}

// send puts a frame on the wire.
func (w *wire) send(frame []byte) error {
	if _, err := unix.Write(w.fd, frame); err != nil {
		return fmt.Errorf("send frame of %d bytes: %w", len(frame), err)
	}
	return nil
}

func (w *wire) close() error { return unix.Close(w.fd) }

// Emulator is the program that is QEMU, Package the Debian package that has it.
const (
	Emulator = "qemu-system-x86_64"
	Package  = "qemu-system-x86"
)

// ErrMissing is wrapped by errors that say that something is not on this machine and
// cannot, or must not, be fetched.
var ErrMissing = errors.New("not there")

// emulator returns QEMU's path. It installs QEMU where it is missing, if that is allowed.
func emulator(ctx context.Context, config Config) (string, error) {
	if path, err := exec.LookPath(Emulator); err == nil {
		return path, nil
	}
	if !config.Install {
		return "", fmt.Errorf("find %s: %w: install it (apt-get install %s), or allow to", Emulator, ErrMissing, Package)
	}
	config.Step("install " + Package)
	config.Log.Info("install a package", "package", Package, "for", Emulator)
	if err := packages.Install(ctx, Package); err != nil {
		return "", fmt.Errorf("install %s: %w: %w", Package, ErrMissing, err)
	}
	return exec.LookPath(Emulator)
}

// ask runs a program in a folder, the present one if "", and returns its output.
func ask(ctx context.Context, folder string, args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir, c.Stdout, c.Stderr = folder, &out, &said
	c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", args[0], err, tail(said.Bytes()))
	}
	return out.Bytes(), nil
}

// tail returns the last lines of what a program said.
func tail(said []byte) []byte {
	const most = 2000
	said = bytes.TrimSpace(said)
	return said[max(0, len(said)-most):]
}
