package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"lbctl/lb"
)

// Link is what the kernel counted on the link to a replica, since it was made.
type Link struct {
	// Taken are the frames that the replica's end received.
	Taken uint64
	// Dropped are the frames that found its ring full: the kernel counts there what the load balancer redirects while a
	// veth's ring of 256 frames is full (drivers/net/veth.c, peer_tq_xdp_xmit_err). TCP retransmits it.
	Dropped uint64
}

// Links returns what was counted on the links to the replicas, by the replica's number.
func (s *Cluster) Links() ([]Link, error) {
	var text []byte
	err := s.balancer.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read counters of links: %w", err)
	}
	numbers := map[string]int{}
	for i := range s.config.Replicas {
		numbers[replicaLink(i)] = i
	}
	return transmitted(text, numbers)
}

// transmitted reads two columns of /proc/net/dev (net/core/net-procfs.c) for the links that have
// a number: 8 columns of reception, then bytes, packets, errors, drops of transmission. The packets that a veth
// transmits are those that its peer received, if the peer has XDP.
func transmitted(text []byte, numbers map[string]int) ([]Link, error) {
	const packets, drops = 8 + 1, 8 + 3
	links, found := make([]Link, len(numbers)), 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, columns, ok := strings.Cut(lines.Text(), ":")
		i, known := numbers[strings.TrimSpace(name)]
		if !ok || !known {
			continue
		}
		fields := strings.Fields(columns)
		if len(fields) <= drops {
			return nil, fmt.Errorf("read counters of link %s: %d columns, want more than %d", name, len(fields), drops)
		}
		var errs [2]error
		links[i].Taken, errs[0] = strconv.ParseUint(fields[packets], 10, 64)
		links[i].Dropped, errs[1] = strconv.ParseUint(fields[drops], 10, 64)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, fmt.Errorf("read counters of link %s: %w", name, err)
		}
		found++
	}
	if found != len(numbers) {
		return nil, fmt.Errorf("read counters of links: found %d of %d", found, len(numbers))
	}
	return links, nil
}

// Program returns the kernel's id of the XDP program on the balancer's end of the clients' link, 0 without one. No
// two programs have the same id.
func (s *Cluster) Program() (id uint32, err error) {
	err = s.balancer.Do(func() error {
		l, err := netlink.LinkByIndex(s.host.Index)
		if err != nil {
			return fmt.Errorf("read link %s: %w", s.host.Name, err)
		}
		if x := l.Attrs().Xdp; x != nil && x.Attached {
			id = x.ProgId
		}
		return nil
	})
	return id, err
}

// counters are what the NIC delivered, what the load balancer counted and what the replicas' links dropped, up
// to a moment.
type counters struct {
	// frames were delivered by the NIC, dropped ones found its rings full.
	frames, dropped uint64
	// linkDropped is the sum over the links to the replicas.
	linkDropped uint64
	reasons     map[lb.Reason]uint64
}

// packets is the sum over all reasons.
func (c counters) packets() (sum uint64) {
	for _, n := range c.reasons {
		sum += n
	}
	return sum
}

// since returns what was counted after an earlier moment.
func (c counters) since(before counters) counters {
	d := counters{
		frames: c.frames - before.frames, dropped: c.dropped - before.dropped, linkDropped: c.linkDropped - before.linkDropped,
		reasons: map[lb.Reason]uint64{},
	}
	for reason, n := range c.reasons {
		d.reasons[reason] = n - before.reasons[reason]
	}
	return d
}

func (s *Cluster) counters(ctx context.Context) (c counters, err error) {
	stats := s.nic.Stats()
	for _, q := range stats.Queues {
		c.frames += q.Frames
		c.dropped += q.Drops
	}
	c.frames -= stats.Refused
	counted, err := s.Control().Counters(ctx)
	if err != nil {
		return c, fmt.Errorf("read counters: %w", err)
	}
	c.reasons = make(map[lb.Reason]uint64, len(counted.Reasons))
	for _, r := range counted.Reasons {
		c.reasons[lb.Reason(r.Reason)] = r.Packets
	}
	links, err := s.Links()
	for _, l := range links {
		c.linkDropped += l.Dropped
	}
	return c, err
}
