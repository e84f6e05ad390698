// Package guest is the other end of a machine of package vm: the only process of a
// guest. It loads the NIC's driver, configures RSS through the ethtool interface as the host orders,
// and reports the queue and the hash of every frame that it receives.
package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
	"lbctl/testbed/vm/line"
)

// Modules is the folder of the kernel modules to be loaded, in the order of their names.
const Modules = "/modules"

// Port is the device on which the guest talks to the host.
const Port = "/dev/ttyS1"

// Helper is the guest as a helper process: its only one.
func Helper() helper.Helper[struct{}] {
	return helper.Helper[struct{}]{Name: "guest", Run: func(context.Context, struct{}, io.Reader, io.Writer) error { return run() }}
}

// run is the whole life of the guest. As process 1 it returns only with an error, whereupon the
// kernel panics and the machine stops. Anywhere else it refuses.
func run() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("start guest: process %d of a machine that is not a guest", os.Getpid())
	}
	if err := mount(); err != nil {
		return err
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	g := &guest{port: port}
	err = g.live()
	_ = g.say(line.Message{Failed: err.Error()})
	return err
}

// guest is the state of the guest.
type guest struct {
	mu   sync.Mutex // of writing to the port
	port io.ReadWriter
	nic  nic
}

func (g *guest) say(m line.Message) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return line.Write(g.port, m)
}

// live starts up and then obeys the host until it hangs up.
func (g *guest) live() error {
	if err := loadModules(Modules); err != nil {
		return err
	}
	n, err := openNIC()
	if err != nil {
		return err
	}
	g.nic = n
	w, err := newWitness(n.index)
	if err != nil {
		return err
	}
	go func() {
		err := w.watch(func(s []line.Sighting) error { return g.say(line.Message{Seen: s}) })
		_ = g.say(line.Message{Failed: err.Error()})
	}()
	settings, err := n.settings()
	if err != nil {
		return err
	}
	if err := g.say(line.Message{Hello: &line.Hello{Kernel: release(), MAC: n.mac, Settings: settings}}); err != nil {
		return err
	}
	return g.obey()
}

// obey applies settings and runs programs as it is told.
func (g *guest) obey() error {
	for r := line.NewReader(g.port); ; {
		m, err := r.Read()
		if err != nil {
			return err
		}
		answer := line.Message{}
		switch {
		case m.Change != nil:
			now, err := g.nic.apply(*m.Change)
			if err != nil {
				answer.Failed = err.Error()
			} else {
				answer.Settings = &now
			}
		case len(m.Run) > 0:
			ran := runOne(m.Run)
			answer.Ran = &ran
		default:
			return errors.New("obey the host: its message is neither a change nor a command")
		}
		if err := g.say(answer); err != nil {
			return err
		}
	}
}

// release returns the kernel's.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return string(bytes.TrimRight(u.Release[:], "\x00"))
}

// mount mounts the file systems that the kernel shows itself in.
func mount() error {
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

// openPort opens the serial port raw: no echo, no line editing, no translation of bytes.
func openPort() (*os.File, error) {
	port, err := os.OpenFile(Port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open port to the host: %w", err)
	}
	raw := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200}
	raw.Cc[unix.VMIN] = 1
	if err := unix.IoctlSetTermios(int(port.Fd()), unix.TCSETS, &raw); err != nil {
		return nil, fmt.Errorf("make %s raw: %w", Port, err)
	}
	return port, nil
}

// loadModules loads all modules of a folder, in the order of their names.
func loadModules(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("list modules: %w", err)
	}
	for _, entry := range entries {
		if err := loadModule(filepath.Join(folder, entry.Name())); err != nil {
			return fmt.Errorf("load module %s: %w", entry.Name(), err)
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}
