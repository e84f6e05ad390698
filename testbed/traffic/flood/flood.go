// Package flood sends TCP frames of very many sources, each with right checksums: floods, load of
// an exactly known number of frames, and single segments that no kernel of a client would send. The
// sources are nobody's addresses, and a replica without a route to them does not answer.
//
// Frames leave by an AF_PACKET socket (packet(7)), several with a system call, and wait in its
// buffer when the link takes them more slowly: what was sent was taken by the link.
package flood

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/netns"
)

// Config says which frames are sent, and how fast.
type Config struct {
	// Link is the interface that they leave by, and Gateway the next hop on it.
	Link    netns.Link
	Gateway packet.MAC
	// To are their destinations; frame n goes to To[n mod len].
	To []netip.AddrPort
	// From is where their sources are from: an IPv4 network. Frame n has the source of flow n mod Flows.
	From netip.Prefix
	// Flows is how many different sources there are, at most as many as From has addresses; 0: as many.
	Flows uint64
	// Flags are those of TCP.
	Flags packet.TCPFlags
	// Rate is how many frames are sent in a second; 0: as many as the link takes.
	Rate int
}

func (c Config) validate() error {
	switch {
	case !c.From.IsValid() || !c.From.Addr().Is4():
		return fmt.Errorf("sources %v: want an ipv4 network", c.From)
	case c.Flows > c.room():
		return fmt.Errorf("%d flows: %v has %d addresses", c.Flows, c.From, c.room())
	case len(c.To) == 0:
		return errors.New("no destination")
	case c.Rate < 0:
		return fmt.Errorf("rate %d: want 0 or more", c.Rate)
	}
	return nil
}

// room returns how many addresses From has.
func (c Config) room() uint64 { return 1 << (32 - c.From.Bits()) }

// Sender sends. Send is for one goroutine at a time, Sent for any.
type Sender struct {
	config    Config
	socket    *socket
	templates []template
	sent      atomic.Uint64
}

// Open makes a sender.
func Open(c Config) (*Sender, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("open flood: %w", err)
	}
	if c.Flows == 0 {
		c.Flows = c.room()
	}
	s := &Sender{config: c}
	for n := range c.To {
		t, err := s.template(n)
		if err != nil {
			return nil, fmt.Errorf("open flood: %w", err)
		}
		s.templates = append(s.templates, t)
	}
	var err error
	if s.socket, err = openSocket(c.Link); err != nil {
		return nil, fmt.Errorf("open flood: %w", err)
	}
	return s, nil
}

// Send sends frames first to first+count-1, and returns early when ctx ends, which is no error.
func (s *Sender) Send(ctx context.Context, first, count uint64) error {
	pace := pace{rate: s.config.Rate, start: time.Now()}
	for done := uint64(0); done < count; {
		if err := pace.wait(ctx, done); err != nil {
			return nil
		}
		n := int(min(count-done, batch))
		for i := range n {
			s.write(s.socket.frame(i), first+done+uint64(i))
		}
		taken, err := s.socket.send(n)
		s.sent.Add(uint64(taken))
		done += uint64(taken)
		if err != nil {
			return fmt.Errorf("send flood: %w", err)
		}
	}
	return nil
}

// Sent is how many frames the link has taken.
func (s *Sender) Sent() uint64 { return s.sent.Load() }

// Close frees the socket. What is in its buffer is still sent.
func (s *Sender) Close() error { return s.socket.close() }

// pace keeps to a rate.
type pace struct {
	rate  int
	start time.Time
}

// wait waits until it is time for frame n. It returns an error when ctx has ended.
func (p pace) wait(ctx context.Context, n uint64) error {
	if p.rate > 0 {
		due := p.start.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
		if early := time.Until(due); early > 0 {
			late := time.NewTimer(early)
			defer late.Stop()
			select {
			case <-ctx.Done():
			case <-late.C:
			}
		}
	}
	return ctx.Err()
}
