// Package guest is the other end of a machine of package vm: the only process of a
// guest. It loads the NIC's driver, sets RSS as it is told through the ethtool interface,
// and says of every frame that it receives which queue it came on, and with which hash.
package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"lbctl/testbed/vm/line"
)

// Modules is the folder of the kernel modules to be loaded, in the order of their names.
const Modules = "/modules"

// Port is the device on which the guest talks to the host.
const Port = "/dev/ttyS1"

// Main is the whole life of the guest: as process 1 it comes back only with an error, whereupon the
// kernel panics and the machine stops. It must not be called anywhere else.
func Main(context.Context) error {
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

// live gets up and then does what it is told, until the host hangs up.
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

// obey applies settings as they come.
func (g *guest) obey() error {
	for r := line.NewReader(g.port); ; {
		m, err := r.Read()
		if err != nil {
			return err
		}
		if m.Change == nil {
			return errors.New("obey the host: its message is no change")
		}
		answer := line.Message{}
		now, err := g.nic.apply(*m.Change)
		if err != nil {
			answer.Failed = err.Error()
		} else {
			answer.Settings = &now
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
