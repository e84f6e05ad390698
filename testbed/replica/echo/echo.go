// Package echo is a server behind the VIP for connections that live long: it sends back what
// it gets, with its own number before it. Its protocol is messages: their length in two bytes,
// big-endian, then that many bytes, at most MaxMessage. An answer is the replica's number in two bytes, then the message.
package echo

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"lbctl/testbed/helper"
	"net"
	"net/netip"
	"sync"
	"time"
)

// MaxMessage is the length in bytes of the longest message.
const MaxMessage = 1 << 10

// HeaderLength is the length in bytes of what stands before a message's bytes, and AnswerHeaderLength before those of an answer.
const (
	HeaderLength       = 2
	AnswerHeaderLength = 2 + HeaderLength
)

// Config says what a server is.
type Config struct {
	// Index is what it calls itself, 0 to 65535.
	Index int
	// Listen are the addresses at which it accepts connections.
	Listen []netip.AddrPort
	// Patience is how long a client may be silent before its connection is closed; 0: for ever. A connection whose
	// packets go to another replica now never ends otherwise.
	Patience time.Duration
}

// Helper is the server as a helper process: it serves until SIGTERM and prints helper.Ready.
func Helper() helper.Helper[Config] {
	return helper.Helper[Config]{Name: "echo", Run: func(ctx context.Context, c Config, _ io.Reader, stdout io.Writer) error {
		return Run(ctx, c, func() error {
			_, err := fmt.Fprintln(stdout, helper.Ready)
			return err
		})
	}}
}

// Run serves until ctx ends, which is no error, and calls ready when it accepts connections.
// When it ends its connections are closed.
func Run(ctx context.Context, c Config, ready func() error) error {
	if c.Index < 0 || c.Index > 0xffff {
		return fmt.Errorf("echo server %d: want a number from 0 to 65535", c.Index)
	}
	s := &server{index: uint16(c.Index), patience: c.Patience}
	defer s.threads.Wait()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s.ctx = ctx
	for _, address := range c.Listen {
		if err := s.listen(address, end); err != nil {
			return err
		}
	}
	if err := ready(); err != nil {
		return err
	}
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// server is one call of Run.
type server struct {
	index    uint16
	patience time.Duration
	ctx      context.Context // ends with Run
	threads  sync.WaitGroup
}

// listen accepts connections at an address until the context ends; end gets the error if it has to stop earlier.
func (s *server) listen(address netip.AddrPort, end context.CancelCauseFunc) error {
	listening := net.ListenConfig{KeepAlive: -1} // probes would be packets that no message explains
	listening.SetMultipathTCP(false)             // Go's default for listeners
	listener, err := listening.Listen(s.ctx, "tcp", address.String())
	if err != nil {
		return fmt.Errorf("start echo server %d: %w", s.index, err)
	}
	context.AfterFunc(s.ctx, func() { _ = listener.Close() })
	s.threads.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				end(fmt.Errorf("accept at %v: %w", address, err)) // has no effect once the context has ended
				return
			}
			s.threads.Go(func() { s.serve(conn) })
		}
	})
	return nil
}

// serve answers one connection until its client closes it, or breaks the protocol.
func (s *server) serve(conn net.Conn) {
	stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, HeaderLength+MaxMessage)
	answer := make([]byte, AnswerHeaderLength+MaxMessage)
	binary.BigEndian.PutUint16(answer, s.index)
	for {
		if s.patience > 0 {
			_ = conn.SetReadDeadline(time.Now().Add(s.patience)) // fails where reading will, too
		}
		n, err := read(reader, answer[2:])
		if err != nil {
			return // the client says what it missed
		}
		if _, err := conn.Write(answer[:2+n]); err != nil {
			return
		}
	}
}

// read reads a message into b, its length included, and returns how many bytes that were.
func read(r io.Reader, b []byte) (int, error) {
	if _, err := io.ReadFull(r, b[:HeaderLength]); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > MaxMessage {
		return 0, fmt.Errorf("message of %d bytes: want at most %d", n, MaxMessage)
	}
	_, err := io.ReadFull(r, b[HeaderLength:HeaderLength+n])
	return HeaderLength + n, err
}
