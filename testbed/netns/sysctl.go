package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Sysctl sets a parameter of the namespace, named by its path: "net/ipv4/ip_forward".
func (n *Namespace) Sysctl(key, value string) error {
	err := n.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0)
	})
	if err != nil {
		return fmt.Errorf("set %s=%s: %w", key, value, err)
	}
	return nil
}

// ReadSysctl returns a parameter, without the newline.
func (n *Namespace) ReadSysctl(key string) (string, error) {
	var value []byte
	err := n.Do(func() (err error) {
		value, err = os.ReadFile(filepath.Join("/proc/sys", key))
		return err
	})
	return strings.TrimSpace(string(value)), err
}

// forbidIPv6 keeps neighbour discovery, router solicitation and multicast listener
// reports out of exact packet counts. A kernel that was booted without IPv6 has nothing to forbid.
func (n *Namespace) forbidIPv6() error {
	err := n.Sysctl("net/ipv6/conf/default/disable_ipv6", "1")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// calmTCP makes TCP send as acknowledgements arrive. Where the host's default is BBR, TCP paces its sending by a
// timer for each connection, which cost half the throughput of a testbed on two cores.
func (n *Namespace) calmTCP() error {
	return n.Sysctl("net/ipv4/tcp_congestion_control", "reno")
}

// AllowIPv6 switches IPv6 on for links that are made from now on. They have only the addresses that they are
// given, usable at once (no duplicate address detection); they configure no address or route by themselves and send no
// solicitations.
func (n *Namespace) AllowIPv6() error {
	for _, p := range []struct{ key, value string }{
		{"disable_ipv6", "0"},
		{"addr_gen_mode", "1"}, // no link-local address
		{"accept_dad", "0"},
		{"accept_ra", "0"},
		{"autoconf", "0"},
		{"router_solicitations", "0"},
	} {
		if err := n.Sysctl("net/ipv6/conf/default/"+p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}
