package vm

import (
	"fmt"

	"golang.org/x/sys/unix"

	"lbctl/testbed/netns"
)

// wire is the host's end of the guest's cable: a packet socket on the TAP.
type wire struct{ fd int }

// openWire sets the link up and opens a socket that sends on it, and hears nothing.
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
