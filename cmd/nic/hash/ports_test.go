package hash

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss"
)

// TestRSSPorts compares all ports, those in the answer and the others, with the definition of the hash.
func TestRSSPorts(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	text := w.OK("rss", "ports", "--src", "198.51.100.7", "--dst", "192.0.2.1:6379", "--range", "32768-60999",
		"--queue", "1,2", "--reply-queue", "5", "--reply", "queues=8,key=symmetric", "-o", "json")
	var got struct {
		Ports  [][2]uint16
		Count  int `json:"port_count"`
		Queues []struct {
			Queue  int
			Ports  int `json:"port_count"`
			Wanted bool
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	listed := map[uint16]bool{}
	for _, r := range got.Ports {
		for p := int(r[0]); p <= int(r[1]); p++ {
			listed[uint16(p)] = true
		}
	}
	symmetric, _ := rss.Named("symmetric")
	destination, count := netip.MustParseAddrPort("192.0.2.1:6379"), 0
	for port := uint16(32768); port < 61000; port++ {
		source := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port)
		there := rss.Toeplitz(rss.MicrosoftKey(), rss.AppendTuple(nil, source, destination)) % 4
		back := rss.Toeplitz(symmetric, rss.AppendTuple(nil, destination, source)) % 8
		want := (there == 1 || there == 2) && back == 5
		if want {
			count++
		}
		if listed[port] != want {
			t.Fatalf("port %d: listed %v; goes to queue %d, its answers to %d", port, listed[port], there, back)
		}
	}
	if got.Count != count || len(got.Queues) != 4 || !got.Queues[1].Wanted || got.Queues[0].Wanted {
		t.Errorf("count %d, want %d; queues %+v", got.Count, count, got.Queues)
	}
	want := "QUEUE  PORTS  WANTED\n0      2      yes\n1      2      yes\n"
	if text := w.OK("rss", "ports", "--src", "2001:db8::7", "--dst", "[2001:db8::1]:53", "--protocol", "udp", "--queues", "2", "--range", "1000-1003"); text != want {
		t.Errorf("got\n%s want\n%s", text, want)
	}
}

func TestRSSPortsBadInput(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	see := "see lbctl rss ports --help"
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"--dst 192.0.2.1:80", 2, "missing --src ADDRESS", see},
		{"--src 192.0.2.1", 2, "missing --dst ADDRESS:PORT", see},
		{"--src 192.0.2.1:80 --dst 192.0.2.1:80", 2, `--src: "192.0.2.1:80" is not an address; the ports are the result`, see},
		{"--src 192.0.2.1 --dst 192.0.2.1", 2, `--dst: "192.0.2.1" is not an address and a port: 192.0.2.1:80 or "[2001:db8::1]:80"`, see},
		{"--src 192.0.2.1 --dst 192.0.2.1:65536", 2, `--dst: "192.0.2.1:65536" is not an address and a port: 192.0.2.1:80 or "[2001:db8::1]:80"`, see},
		{"--src 192.0.2.1 --dst [::1]:80", 2, "--src: 192.0.2.1 to ::1: want both of one address family", see},
		{"--src 192.0.2.1 --dst 192.0.2.1:80 --protocol icmp", 2, `--protocol: "icmp" has no ports: want tcp, udp or sctp`, see},
		{"--src 192.0.2.1 --dst 192.0.2.1:80 --queue 4", 2, "--queue: 4 is no queue of the indirection table: want 0 to 3", see},
		{"--src 192.0.2.1 --dst 192.0.2.1:80 --reply-queue 8 --reply queues=8", 2, "--reply-queue: 8 is no queue of the indirection table: want 0 to 7", see},
		{"--src 192.0.2.1 --dst 192.0.2.1:80 --reply queues=8", 2, "--reply without --reply-queue", see},
		{"--src 192.0.2.1 --dst 192.0.2.1:80 --range 9-8", 2, `--range: "9-8": want ports from 0 to 65535, the lower one first: 32768-60999`, see},
		{"--src 192.0.2.1 --dst 192.0.2.1:80 --range 0-65536", 2, `--range: "0-65536": want ports from 0 to 65535, the lower one first: 32768-60999`, see},
		{"--src 192.0.2.1 --dst 192.0.2.1:80 --key abcd", 2, "--key: rss key of 2 bytes: want 40 to 256", see},
	} {
		w.Refused("rss ports "+c.line, c.code, c.what, c.hint)
	}
	// If no port is found the answer is printed and the command fails.
	code, stdout, stderr := w.Run("rss", "ports", "--src", "192.0.2.1", "--dst", "192.0.2.1:80", "--range", "7", "--queue", "0", "--reply-queue", "1", "--key", "symmetric")
	if code != cli.ExitFailed || !strings.Contains(stdout, "count  0 of 1\n") || !strings.HasPrefix(stderr, "lbctl: no source port leads to these queues\n") {
		t.Errorf("exit %d, stdout %s, stderr %s", code, stdout, stderr)
	}
}
