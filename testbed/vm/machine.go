// Package vm boots a guest with another implementation of RSS in it: QEMU's virtio-net,
// driven by the virtio_net of a Debian kernel. The host configures it through the guest's ethtool
// interface and sends frames to it; the guest reports the queue and the hash of each.
//
// QEMU emulates the processor (TCG): no KVM is needed, and a boot takes seconds. The NIC is
// attached to a multi-queue TAP without vhost, so that QEMU itself hashes every packet
// (hw/net/virtio-net.c, virtio_net_process_rss); with other backends there is one queue
// only. This measures QEMU's RSS and says nothing about hardware.
//
// A guest can have other NICs, too, and another helper as its first process, which obeys an experiment's own orders: see
// Config.Role. A Trial is a guest for a third purpose: tests of the datapath run in it, on the kernels that it must work on.
package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"

	"lbctl/rss/packet"
	"lbctl/testbed/netns"
	"lbctl/testbed/vm/line"
)

// Config says how to boot.
type Config struct {
	// Program is the path of the lbctl binary, which is the guest's first process, too: in the guest it is /lbctl.
	Program string
	// Programs are paths of more programs: in the guest they are in /, with the same name.
	Programs []string
	// Files are more files of the guest's folder /, by name.
	Files map[string][]byte
	// Namespace is where QEMU and its TAP are.
	Namespace *netns.Namespace
	// Role is the helper that is the guest's first process (guest.Role): it obeys Ask, and knows nothing else. "" stands for the
	// one that observes RSS, which has its own NIC.
	Role string
	// NICs are the guest's, of a role.
	NICs []NIC
	// Kernel is the package that depends on the guest's kernel; "" stands for KernelPackage.
	Kernel string
	// Modules are more modules of the kernel that the guest loads.
	Modules []string
	// Install allows to install QEMU and to download a kernel where they are missing.
	Install bool
	// Cache is where kernels are kept; "" stands for the constant.
	Cache string
	// Step is told what is done next.
	Step func(what string)
	Log  *slog.Logger
}

// NIC is a network interface of a guest. The host's end of its cable is the TAP named Wire of its place.
type NIC struct {
	// Model is what QEMU calls it, with its properties: "e1000,mitigation=off".
	Model string
	MAC   packet.MAC
}

// Wire returns the name of the TAP of the nth NIC.
func Wire(n int) string { return fmt.Sprintf("%s%d", tap, n) }

// Machine is a running guest and its wire. Not safe for concurrent use.
type Machine struct {
	qemu    *exec.Cmd
	console *console
	control io.WriteCloser
	// messages are the guest's; closed when it hung up.
	messages chan line.Message
	wire     *wire
	hello    line.Hello
	kernel   kernel
	version  string
}

// Start boots a guest and waits until it is up. It needs root. Its error wraps ErrMissing when something is
// not on this machine. The machine ends with Close, with its namespace, and with this process, however that ends.
func Start(ctx context.Context, config Config) (m *Machine, err error) {
	emulator, err := emulator(ctx, config)
	if err != nil {
		return nil, config.allow(err)
	}
	kernel, err := findKernel(ctx, config)
	if err != nil {
		return nil, config.allow(err)
	}
	m = &Machine{kernel: kernel}
	defer func() {
		if err != nil {
			err = errors.Join(ctx.Err(), err, m.Close())
			m = nil
		}
	}()
	if m.version, err = version(ctx, emulator); err != nil {
		return m, err
	}
	config.Step("boot the guest")
	return m, m.boot(ctx, emulator, config)
}

// allow adds to an error that something is missing how an experiment is allowed to install it, unless it is.
func (c Config) allow(err error) error {
	if errors.Is(err, ErrMissing) && !c.Install {
		return fmt.Errorf("%w: --set install=true", err)
	}
	return err
}

// boot starts QEMU and waits for the guest's first message.
func (m *Machine) boot(ctx context.Context, emulator string, config Config) error {
	initramfs, err := m.kernel.initramfs(config)
	if err != nil {
		return err
	}
	defer initramfs.Close()
	if err := m.start(config, emulator, initramfs); err != nil {
		return err
	}
	hello, err := m.receive(ctx, answerTime)
	if err != nil {
		return fmt.Errorf("boot guest: %w", err)
	}
	if hello.Hello == nil {
		return errors.New("boot guest: its first message is no greeting")
	}
	m.hello = *hello.Hello
	if config.Role != "" {
		return nil
	}
	link, err := config.Namespace.Link(tap)
	if err != nil {
		return err
	}
	m.wire, err = openWire(link)
	return err
}

// Hello is what the guest said of itself.
func (m *Machine) Hello() line.Hello { return m.hello }

// Kernel returns package and version of the guest's kernel: linux-image-6.1.0-56-cloud-amd64_6.1.192-2.
func (m *Machine) Kernel() string { return m.kernel.name() }

// Version returns what QEMU calls itself: "QEMU emulator version 7.2.22 (...)".
func (m *Machine) Version() string { return m.version }

// Close kills the machine.
func (m *Machine) Close() error {
	var all []error
	if m.wire != nil {
		all = append(all, m.wire.close())
	}
	if m.qemu != nil {
		_ = m.qemu.Process.Kill() // it may be gone already
		for range m.messages {    // until its end of the line is closed
		}
		_ = m.qemu.Wait() // killed
	}
	return errors.Join(all...)
}
