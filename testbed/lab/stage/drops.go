package stage

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// dropped returns how many frames the kernel dropped on their way into the links to the replicas
// since those were made: what the load balancer redirects while a veth's ring of 256 frames is
// full is counted there (drivers/net/veth.c, peer_tq_xdp_xmit_err). TCP sends it again.
func (s *Stage) dropped() (uint64, error) {
	var text []byte
	err := s.balancer.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/dev")
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read counters of links: %w", err)
	}
	links := map[string]bool{}
	for i := range s.config.Replicas {
		links[replicaLink(i)] = true
	}
	return transmitDrops(text, links)
}

// transmitDrops sums a column of /proc/net/dev (net/core/net-procfs.c): 8 columns
// of reception, then bytes, packets, errors, drops of transmission.
func transmitDrops(text []byte, links map[string]bool) (sum uint64, err error) {
	const column = 8 + 3
	found := 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, columns, ok := strings.Cut(lines.Text(), ":")
		if !ok || !links[strings.TrimSpace(name)] {
			continue
		}
		fields := strings.Fields(columns)
		if len(fields) <= column {
			return 0, fmt.Errorf("read counters of link %s: %d columns, want more than %d", name, len(fields), column)
		}
		n, err := strconv.ParseUint(fields[column], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read counters of link %s: %w", name, err)
		}
		sum += n
		found++
	}
	if found != len(links) {
		return 0, fmt.Errorf("read counters of links: %d of %d are there", found, len(links))
	}
	return sum, nil
}
