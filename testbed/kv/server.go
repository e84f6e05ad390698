package kv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
)

// Config says what a store is.
type Config struct {
	Listen netip.AddrPort
	// Cores are those of the threads: thread i runs on Cores[i] and nowhere else.
	Cores []int
	// PerCore makes each thread accept the connections whose SYN came on its core (SO_REUSEPORT and SO_INCOMING_CPU,
	// since Linux 6.2). Otherwise one more thread accepts all and hands them to the others in turn, as memcached does.
	PerCore bool
	// Wrong are the keys whose values are served with one byte changed: a control.
	Wrong []int
	// Log is the path of a journal of Served.
	Log string
}

// Server is the store as a helper process: it serves until SIGTERM and prints helper.Ready when it accepts connections.
func Server() helper.Helper[Config] {
	return helper.Helper[Config]{Name: "kv-store", Run: func(ctx context.Context, c Config, _ io.Reader, stdout io.Writer) error {
		return Serve(ctx, c, stdout)
	}}
}

// store is what the threads share. Safe for concurrent use.
type store struct {
	config Config
	log    *journal.Journal[Served]
	// over becomes readable when all threads have to end.
	over int

	mu     sync.RWMutex // guards what follows
	values map[string][]byte
}

// Serve serves until ctx ends, which is no error. Its log is complete when it returns.
func Serve(ctx context.Context, c Config, stdout io.Writer) (err error) {
	if len(c.Cores) == 0 {
		return errors.New("store: no thread")
	}
	s := &store{config: c, values: map[string][]byte{}}
	if s.over, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	defer unix.Close(s.over)
	if s.log, err = journal.Create[Served](c.Log); err != nil {
		return err
	}
	return errors.Join(s.serve(ctx, stdout), s.log.Close())
}

// serve makes the threads, then runs them until ctx ends or one fails.
func (s *store) serve(ctx context.Context, stdout io.Writer) error {
	var threads []*thread
	defer func() {
		for _, t := range threads {
			t.close()
		}
	}()
	for i, core := range s.config.Cores {
		t, err := newThread(s, i, core)
		if err != nil {
			return err
		}
		threads = append(threads, t)
	}
	if err := s.listen(&threads); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, helper.Ready); err != nil {
		return err
	}
	errs := make([]error, len(threads))
	var all sync.WaitGroup
	end := func() { _, _ = unix.Write(s.over, []byte{1, 0, 0, 0, 0, 0, 0, 0}) } // fails only when it is readable already
	defer context.AfterFunc(ctx, end)()
	for i, t := range threads {
		all.Go(func() {
			defer end()
			errs[i] = t.run()
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// listen gives each thread a listening socket, or adds a thread that accepts for all.
func (s *store) listen(threads *[]*thread) error {
	workers := slices.Clone(*threads)
	if s.config.PerCore {
		for _, t := range workers {
			if err := t.listen([]*thread{t}, t.core); err != nil {
				return err
			}
		}
		return nil
	}
	acceptor, err := newThread(s, len(workers), anyCore)
	if err != nil {
		return err
	}
	*threads = append(*threads, acceptor)
	return acceptor.listen(workers, anyCore)
}

// answer carries out a command.
func (s *store) answer(c command) []byte {
	switch c.verb {
	case "version":
		return []byte("VERSION lbctl\r\n")
	case "set":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.values[c.key] = slices.Clone(c.value)
		return []byte("STORED\r\n")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	value, found := s.values[c.key]
	if !found {
		return []byte("END\r\n")
	}
	if value = slices.Clone(value); len(value) > 0 && slices.Contains(s.config.Wrong, c.number()) {
		value[0] ^= 1
	}
	return fmt.Appendf(nil, "VALUE %s 0 %d\r\n%s\r\nEND\r\n", c.key, len(value), value)
}
