package peers

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"lbctl/rss/packet"
	"lbctl/testbed/netns"
)

// arrivals counts what came to each replica: connections that it accepted, or datagrams.
type arrivals []uint64

// arrived reads, in the replicas' own kernels' books, what has come to each since it was made.
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
