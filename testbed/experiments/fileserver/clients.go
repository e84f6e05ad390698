package fileserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lbctl/testbed/disk"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
)

// patience is how long anything may take that takes milliseconds.
const patience = 30 * time.Second

// server is a running file server.
type server struct {
	serverConfig
	process *helper.Process
	in      *netns.Namespace
}

// client is one client of a server.
type client struct {
	connection *net.TCPConn
	// answered and ended tell whether it has its first file, and whether it has seen the end of file.
	answered, ended atomic.Bool
}

// dial connects a client.
func (s *server) dial(ctx context.Context) (*client, error) {
	c, err := s.in.Dial(net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), patience)
	if err != nil {
		return nil, err
	}
	return &client{connection: c}, errors.Join(ctx.Err(), c.SetDeadline(time.Now().Add(2*patience)))
}

// ask asks for a file and reads it.
func (c *client) ask(file string) error {
	if _, err := io.WriteString(c.connection, file+"\n"); err != nil {
		return fmt.Errorf("ask for file: %w", err)
	}
	if _, err := io.CopyN(io.Discard, c.connection, disk.FileSize); err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	c.answered.Store(true)
	return nil
}

// finish says that there is nothing more to ask for, and waits for the end of file.
func (c *client) finish() error {
	if err := c.connection.CloseWrite(); err != nil {
		return fmt.Errorf("end requests: %w", err)
	}
	return c.end()
}

// end waits for the end of file.
func (c *client) end() error {
	if n, err := io.Copy(io.Discard, c.connection); err != nil || n > 0 {
		return fmt.Errorf("wait for the end of file: %d bytes, %w", n, err)
	}
	c.ended.Store(true)
	return nil
}

// count counts clients.
func count(all []*client, what func(*client) bool) (n int) {
	for _, c := range all {
		if what(c) {
			n++
		}
	}
	return n
}

// children returns the children of the server that live, and counts those that have ended and were not reaped.
func (s *server) children() (living []int, zombies int, err error) {
	files, err := filepath.Glob("/proc/[1-9]*/stat")
	if err != nil {
		return nil, 0, err
	}
	parent := strconv.Itoa(s.process.PID())
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		if len(f) < 2 || f[1] != parent {
			continue
		}
		if f[0] == "Z" {
			zombies++
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, 0, err
		}
		living = append(living, pid)
	}
	return living, zombies, nil
}

// descriptors counts those of the server itself.
func (s *server) descriptors() (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.process.PID()))
	return len(open), err
}

// closeWait counts the server's connections of which the client has sent its end of file, and the server has not
// (proc_pid_net(5): state 08).
func (s *server) closeWait() (n int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", s.process.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && f[3] == "08" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", s.Port)) {
			n++
		}
	}
	return n, nil
}

// settle waits until the server and all its children have nothing to do, no read of the disk waits, and what done counts has not
// changed meanwhile.
func (d *design) settle(ctx context.Context, s *server, done func() int) error {
	return helper.AwaitIdle(ctx, patience, func() ([]int, error) {
		family, _, err := s.children()
		if err == nil && d.disk.Waiting() > 0 {
			err = errors.New("a read of the disk waits")
		}
		return append(family, s.process.PID()), err
	}, done, s.process.Over)
}
