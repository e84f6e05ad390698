package fileserver

import (
	"context"
	"errors"
	"sync"

	"lbctl/testbed/disk"
	"lbctl/testbed/helper"
)

// Held is what one server did with clients that all ask for a file, stay connected, and then all end.
type Held struct {
	Clients int
	// Answered is how many clients had a file while all of them were connected, Children how many children lived then.
	Answered, Children int
	// Zombies are the children that had ended and were not reaped when all clients had ended, ZombiesNext those after one
	// more client had come.
	Zombies, ZombiesNext int
	// Before and After are the server's descriptors before the first client came and after all had ended.
	Before, After int
	// Ended is how many clients had seen the end of file when all children had ended, CloseWait how many connections the
	// kernel still kept open for the server then, EndedLast how many had seen it when the server had ended too.
	Ended, CloseWait, EndedLast int
}

// visit is the clients of one server.
type visit struct {
	all []*client
	// leave is closed when they may end, asked and gone when all have said so and have seen the end of file.
	leave       chan struct{}
	once        sync.Once
	asked, gone sync.WaitGroup
	failed      []error
}

func (v *visit) answered() int {
	return count(v.all, func(c *client) bool { return c.answered.Load() })
}
func (v *visit) ended() int { return count(v.all, func(c *client) bool { return c.ended.Load() }) }

// interrupt makes clients fail that wait for a server.
func (v *visit) interrupt() {
	for _, c := range v.all {
		_ = c.connection.Close()
	}
}

// goodbye lets all clients end.
func (v *visit) goodbye() { v.once.Do(func() { close(v.leave) }) }

// close ends what still waits.
func (v *visit) close() {
	v.interrupt()
	v.goodbye()
	v.gone.Wait()
}

// visit connects clients, each of which asks for a file and stays.
func (d *design) visit(ctx context.Context, s *server) (*visit, error) {
	v := &visit{leave: make(chan struct{}), failed: make([]error, d.clients)}
	for i := range d.clients {
		c, err := s.dial(ctx)
		if err != nil {
			return v, err
		}
		v.all = append(v.all, c)
		v.asked.Add(1)
		v.gone.Go(func() {
			v.failed[i] = c.ask(disk.File(d.read))
			select {
			case <-v.leave:
			case <-ctx.Done():
			}
			v.failed[i] = errors.Join(v.failed[i], c.connection.CloseWrite())
			v.asked.Done()
			_ = c.end() // or the connection is closed below
		})
	}
	return v, nil
}

// hold lets clients come, and end when all are answered that can be. The server is ended with them.
func (d *design) hold(ctx context.Context, s *server) (h Held, err error) {
	h.Clients = d.clients
	if err := s.process.Await(helper.Ready); err != nil {
		return h, err
	}
	if h.Before, err = s.descriptors(); err != nil {
		return h, err
	}
	v, err := d.visit(ctx, s)
	defer v.close()
	defer context.AfterFunc(ctx, v.interrupt)()
	if err != nil {
		return h, err
	}
	if err := d.settle(ctx, s, v.answered); err != nil {
		return h, err
	}
	living, _, err := s.children()
	if err != nil {
		return h, err
	}
	h.Answered, h.Children = v.answered(), len(living)
	v.goodbye()
	v.asked.Wait()
	if err := errors.Join(append(v.failed, ctx.Err())...); err != nil {
		return h, err
	}
	if err := d.settle(ctx, s, v.ended); err != nil {
		return h, err
	}
	if err := s.look(&h); err != nil {
		return h, err
	}
	h.Ended = v.ended()
	return h, d.last(ctx, s, v, &h)
}

// look counts what all clients have left.
func (s *server) look(h *Held) (err error) {
	var errs [3]error
	_, h.Zombies, errs[0] = s.children()
	h.After, errs[1] = s.descriptors()
	h.CloseWait, errs[2] = s.closeWait()
	return errors.Join(errs[:]...)
}

// last lets one more client come, and then ends the server.
func (d *design) last(ctx context.Context, s *server, v *visit, h *Held) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.connection.Close()
	if err := c.ask(disk.File(d.read)); err != nil {
		return err
	}
	if err := d.settle(ctx, s, v.ended); err != nil {
		return err
	}
	if _, h.ZombiesNext, err = s.children(); err != nil {
		return err
	}
	if err := s.process.End(); err != nil {
		return err
	}
	v.gone.Wait() // the kernel closes what a process has open
	h.EndedLast = v.ended()
	return nil
}
