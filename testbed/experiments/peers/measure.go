package peers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/helper"
	"lbctl/testbed/load"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
)

// measurement is one peer at one work in one round.
type measurement struct {
	load.Result
	// balancer is the CPU time of the process that balances; all is that of clients, replicas, balancer
	// and kernel.
	balancer, all time.Duration
	arrivals      arrivals
}

// measure has the clients do some work by a peer, and counts what each replica got.
func (b *bench) measure(ctx context.Context, w load.Work, p *path, requests int) (m measurement, err error) {
	before, err := arrived(b.replicas, w.Protocol)
	if err != nil {
		return m, err
	}
	if m, err = b.timed(ctx, w, p, requests); err != nil {
		return m, err
	}
	after, err := arrived(b.replicas, w.Protocol)
	if err != nil {
		return m, err
	}
	m.arrivals = after.since(before)
	return m, nil
}

// timed has the clients do some work by a peer, and reads the CPU time that it took.
func (b *bench) timed(ctx context.Context, w load.Work, p *path, requests int) (m measurement, err error) {
	before, err := measure.Take()
	if err != nil {
		return m, err
	}
	if m.Result, err = helper.Ask[load.Result](ctx, b.client, load.Job{Work: w, Targets: p.targets(), Requests: requests, Concurrency: b.concurrency}); err != nil {
		return m, err
	}
	after, err := measure.Take()
	if err != nil {
		return m, err
	}
	self := os.Getpid()
	m.all = after.Below(self) - before.Below(self)
	if p.pid != 0 {
		m.balancer = after.Tree(p.pid) - before.Tree(p.pid)
	}
	return m, nil
}

// countTracked asks each balancer's connection tracking how many connections it knows. Those that ended are known for a
// while: a second at the peer nftables, else minutes.
func (b *bench) countTracked() error {
	for _, p := range b.paths {
		if p.balancer == nil {
			continue
		}
		text, err := p.balancer.ReadSysctl("net/netfilter/nf_conntrack_count")
		if errors.Is(err, os.ErrNotExist) {
			continue // a kernel without connection tracking
		}
		n, errNumber := strconv.Atoi(text)
		if err := cmp.Or(err, errNumber); err != nil {
			return fmt.Errorf("count tracked connections of %s: %w", p.name, err)
		}
		p.tracked = max(p.tracked, n)
	}
	return nil
}

// arrivals counts what came to each replica: connections that it accepted, or datagrams.
type arrivals []uint64

// arrived reads the replicas' kernel counters: what has come to each since it was made.
func arrived(replicas []*netns.Namespace, protocol packet.Protocol) (arrivals, error) {
	all := make(arrivals, len(replicas))
	for i, n := range replicas {
		err := n.Do(func() (err error) {
			text, err := os.ReadFile("/proc/thread-self/net/snmp")
			if err == nil {
				all[i], err = parseArrived(string(text), protocol)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("count what came to %s: %w", n.Name(), err)
		}
	}
	return all, nil
}

// since returns what came after an earlier count.
func (a arrivals) since(before arrivals) arrivals {
	all := make(arrivals, len(a))
	for i := range a {
		all[i] = a[i] - before[i]
	}
	return all
}

// add sums up; a may be nil.
func (a arrivals) add(more arrivals) arrivals {
	all := make(arrivals, len(more))
	copy(all, a)
	for i, n := range more {
		all[i] += n
	}
	return all
}

// reached is the number of replicas to which something came.
func (a arrivals) reached() (n int) {
	for _, came := range a {
		if came > 0 {
			n++
		}
	}
	return n
}

// parseArrived reads a /proc/net/snmp (RFC 1213): for each protocol a line of names, then one of values.
func parseArrived(text string, protocol packet.Protocol) (uint64, error) {
	prefix, want := "Tcp:", "PassiveOpens"
	if protocol == packet.UDP {
		prefix, want = "Udp:", "InDatagrams"
	}
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != prefix {
			continue
		}
		if names == nil {
			names = f
			continue
		}
		for i, name := range names {
			if name == want && i < len(f) {
				return strconv.ParseUint(f[i], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("parse snmp counters: want %s %s", prefix, want)
}
