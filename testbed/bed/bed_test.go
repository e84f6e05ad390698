package bed

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/rss/nic"
)

// config is a small stage whose program is a shell script.
func config(t *testing.T, script string) Config {
	t.Helper()
	need.Root(t)
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := nic.Default(2)
	if err != nil {
		t.Fatal(err)
	}
	n, err := nic.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Program: program, Replicas: 2, Clients: 2, NIC: n, Log: slog.New(slog.DiscardHandler)}
}

// left returns the folders of runs of this process.
func left(t *testing.T) []string {
	t.Helper()
	pid := filepath.Base(mustLink(t, "/proc/self"))
	var all []string
	for _, pattern := range []string{"/run/lbctl-lab/" + pid + "*", "/run/netns/lbctl-" + pid + "*", "/sys/fs/bpf/lbctl-lab-" + pid + "*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

func mustLink(t *testing.T, path string) string {
	t.Helper()
	to, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestDaemonThatDies: its last words are in the error, and nothing is left.
func TestDaemonThatDies(t *testing.T) {
	_, err := Set(t.Context(), config(t, "[ $1 = purge ] && exit; echo no such luck >&2; exit 3"))
	if err == nil {
		t.Fatal("the stage was set without a daemon")
	}
	for _, want := range []string{"lbctl serve", "exit status 3", "no such luck"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
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

// TestAddressesDoNotMeet: no address is given twice, on the largest stage.
func TestAddressesDoNotMeet(t *testing.T) {
	seen := map[string]string{VIP().Addr().String(): "vip", clientGateway().String(): "gateway"}
	take := func(address, what string) {
		if other, twice := seen[address]; twice {
			t.Errorf("%s is %s and %s", address, other, what)
		}
		seen[address] = what
	}
	for i := range MaxClients {
		if !clientNet().Contains(clientAddress(i)) {
			t.Errorf("client %d is at %v, outside %v", i, clientAddress(i), clientNet())
		}
		take(clientAddress(i).String(), "a client")
	}
	for i := range MaxReplicas {
		take(ReplicaAddress(i).Addr().String(), "a replica")
		take(replicaGateway(i).String(), "a replica's gateway")
	}
}
