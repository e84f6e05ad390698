package bed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Link is what the kernel counted on the link to a replica, since it was made.
type Link struct {
	// Taken are the frames that the replica's end took in.
	Taken uint64
	// Dropped are those that found its ring full: what the load balancer redirects while a veth's
	// ring of 256 frames is full is counted there (drivers/net/veth.c, peer_tq_xdp_xmit_err). TCP sends it again.
	Dropped uint64
}

// Links returns what was counted on the links to the replicas, by the replica's number.
func (s *Stage) Links() ([]Link, error) {
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

// dropped returns how many frames were dropped on all links.
func (s *Stage) dropped() (sum uint64, err error) {
	links, err := s.Links()
	for _, l := range links {
		sum += l.Dropped
	}
	return sum, err
}

// transmitted reads two columns of /proc/net/dev (net/core/net-procfs.c) for the links that have
// a number: 8 columns of reception, then bytes, packets, errors, drops of transmission. A veth's packets
// are those that its peer took in, if that has XDP.
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
		return nil, fmt.Errorf("read counters of links: %d of %d are there", found, len(numbers))
	}
	return links, nil
}
