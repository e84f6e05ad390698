package cluster

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/rss/nic"
	"lbctl/testbed/bed"
)

// newBed makes a bed whose program is a shell script.
func newBed(t *testing.T, script string) *bed.Bed {
	t.Helper()
	need.Root(t)
	program := filepath.Join(t.TempDir(), "program")
	check(t, os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	b, err := bed.New(program, slog.New(slog.DiscardHandler))
	check(t, err)
	return b
}

// left returns the folders of runs of this process.
func left(t *testing.T) []string {
	t.Helper()
	pid := filepath.Base(mustLink(t, "/proc/self"))
	var all []string
	for _, pattern := range []string{"/run/lbctl-lab/" + pid + "*", "/run/netns/lbctl-" + pid + "*", "/sys/fs/bpf/lbctl-lab-" + pid + "*"} {
		found, err := filepath.Glob(pattern)
		check(t, err)
		all = append(all, found...)
	}
	return all
}

func mustLink(t *testing.T, path string) string {
	t.Helper()
	to, err := os.Readlink(path)
	check(t, err)
	return to
}

// newNIC is a NIC with two queues.
func newNIC(t *testing.T) *nic.NIC {
	t.Helper()
	c, err := nic.Default(2)
	check(t, err)
	n, err := nic.New(c)
	check(t, err)
	return n
}

// TestDaemonThatDies: the error holds the daemon's last words, and Close leaves nothing.
func TestDaemonThatDies(t *testing.T) {
	b := newBed(t, "[ $1 = purge ] && exit; echo no such luck >&2; exit 3")
	_, err := New(t.Context(), b, Config{Replicas: 2, Clients: 2, NIC: newNIC(t)})
	if err == nil {
		t.Fatal("a cluster was made without a daemon")
	}
	for _, want := range []string{"lbctl serve", "exit status 3", "no such luck"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if len(left(t)) < 3 {
		t.Errorf("before Close there is %v: this test tests nothing", left(t))
	}
	check(t, b.Close())
	if all := left(t); len(all) != 0 {
		t.Errorf("left behind: %v", all)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no replicas":           func(c *Config) { c.Replicas = 0 },
		"too many replicas":     func(c *Config) { c.Replicas = MaxReplicas + 1 },
		"no clients":            func(c *Config) { c.Clients = 0 },
		"more clients than fit": func(c *Config) { c.Clients = MaxClients + 1 },
	} {
		c := Config{Replicas: 1, Clients: 1, NIC: &nic.NIC{}}
		if err := c.validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestAddressesDoNotMeet: no address is given twice, in the largest cluster.
func TestAddressesDoNotMeet(t *testing.T) {
	seen := map[string]string{VIP().Addr().String(): "vip", clientGateway().String(): "gateway"}
	take := func(address, what string) {
		if other, twice := seen[address]; twice {
			t.Errorf("%s is %s and %s", address, other, what)
		}
		seen[address] = what
	}
	for i := range MaxClients {
		if !clientNet().Contains(ClientAddress(i)) {
			t.Errorf("client %d is at %v, outside %v", i, ClientAddress(i), clientNet())
		}
		take(ClientAddress(i).String(), "a client")
	}
	for i := range MaxReplicas {
		take(ReplicaAddress(i).Addr().String(), "a replica")
		take(replicaGateway(i).String(), "a replica's gateway")
	}
}

const procNetDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    9    0     0          0         0        0       0    0    9    0     0       0          0
replica0: 2776770   11307    0    1    0     0          0         0   550000    8107    0    7    0     0       0          0
replica1: 2776770   11307    0    1    0     0          0         0   550000    8107    0   71    0     0       0          0
`

func TestTransmitted(t *testing.T) {
	got, err := transmitted([]byte(procNetDev), map[string]int{"replica0": 0, "replica1": 1})
	if want := []Link{{Taken: 8107, Dropped: 7}, {Taken: 8107, Dropped: 71}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("links = %v, %v; want %v", got, err, want)
	}
	for name, text := range map[string]string{"a link is missing": "", "a line is short": "replica0: 1 2 3\n"} {
		if _, err := transmitted([]byte(text), map[string]int{"replica0": 0}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
