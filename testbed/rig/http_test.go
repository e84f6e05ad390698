package rig_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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

// retransmitted returns how many segments TCP sent again in a namespace (RetransSegs, RFC 4022).
func retransmitted(tb testing.TB, ns *netns.Namespace) int {
	tb.Helper()
	var text []byte
	check(tb, ns.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	}))
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != "Tcp:" {
			continue
		}
		if names == nil { // the first line names, the second counts
			names = fields
			continue
		}
		n, err := strconv.Atoi(fields[slices.Index(names, "RetransSegs")])
		check(tb, err)
		return n
	}
	tb.Fatal("no Tcp in /proc/net/snmp")
	return 0
}

// exchangeUDP sends a datagram on each of a number of flows from the clients to the host and gets it back.
func (b bed) exchangeUDP(t *testing.T, flows int) {
	t.Helper()
	address := netip.AddrPortFrom(hostAddr, 7)
	var server *net.UDPConn
	check(t, b.host.Do(func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
		return err
	}))
	defer server.Close()
	go echoUDP(server)
	for i := range flows {
		var client *net.UDPConn
		check(t, b.clients.Do(func() (err error) {
			from := net.UDPAddrFromAddrPort(netip.AddrPortFrom(clientAddr(i%8), 0))
			client, err = net.DialUDP("udp", from, net.UDPAddrFromAddrPort(address))
			return err
		}))
		check(t, client.SetDeadline(time.Now().Add(10*time.Second)))
		_, err := client.Write([]byte("hello"))
		check(t, err)
		answer := make([]byte, 16)
		n, err := client.Read(answer)
		check(t, err)
		if string(answer[:n]) != "hello" {
			t.Errorf("answer %q", answer[:n])
		}
		_ = client.Close()
	}
}

// echoUDP sends every datagram back until the socket is closed.
func echoUDP(server *net.UDPConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := server.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		_, _ = server.WriteToUDPAddrPort(b[:n], from)
	}
}
