package rig_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbctl/testbed/journal"
	"lbctl/testbed/netns"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// process is a child of the test inside a namespace.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Writer
	stdout *bufio.Reader
}

// start starts a role with a configuration. It ends with the test at the latest.
func start(tb testing.TB, ns *netns.Namespace, name string, config any) process {
	tb.Helper()
	text, err := json.Marshal(config)
	check(tb, err)
	cmd := exec.CommandContext(tb.Context(), os.Args[0], string(text))
	cmd.Env = append(os.Environ(), role+"="+name)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	check(tb, err)
	stdout, err := cmd.StdoutPipe()
	check(tb, err)
	check(tb, ns.Start(cmd))
	return process{cmd, stdin, bufio.NewReader(stdout)}
}

// await reads the process's lines up to the one that is wanted.
func (p process) await(tb testing.TB, want string) {
	tb.Helper()
	for {
		line, err := p.stdout.ReadString('\n')
		if err != nil {
			tb.Fatalf("wait for %q: %v", want, err)
		}
		if strings.TrimSpace(line) == want {
			return
		}
	}
}

// end waits for a process that ends by itself.
func (p process) end(tb testing.TB) {
	tb.Helper()
	_, _ = io.Copy(io.Discard, p.stdout)
	check(tb, p.cmd.Wait())
}

// terminate asks a process to end, with SIGTERM, and waits.
func (p process) terminate(tb testing.TB) {
	tb.Helper()
	check(tb, p.cmd.Process.Signal(unix.SIGTERM))
	p.end(tb)
}

// clientsOf returns a configuration for requests from a number of addresses.
func clientsOf(tb testing.TB, addresses, connections int) traffic.Config {
	tb.Helper()
	c := traffic.Config{
		VIP: netip.AddrPortFrom(hostAddr, 80), Connections: connections, RequestsPerConnection: 4,
		Seed: 1, Site: replica.DefaultSite(1), Log: filepath.Join(tb.TempDir(), "requests"),
	}
	for i := range addresses {
		c.Sources = append(c.Sources, clientAddr(i))
	}
	return c
}

// requests reads the clients' log; all must have been answered.
func requests(tb testing.TB, c traffic.Config) []traffic.Request {
	tb.Helper()
	all, err := journal.Read[traffic.Request](c.Log)
	check(tb, err)
	if len(all) != c.Total() {
		tb.Fatalf("%d requests, want %d", len(all), c.Total())
	}
	for _, r := range all {
		if r.Err != "" {
			tb.Fatalf("request failed: %+v", r)
		}
	}
	return all
}
