package hash

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss"
)

func TestMain(m *testing.M) { nictest.Main(m) }

const verified = "rss hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766 "

func TestRSSHashFlags(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	for _, c := range []struct{ line, want string }{
		{verified + "--protocol sctp", "queue   2 of 4\nindex   66 of 128\nhash    0x323e8fc2\nfields  sd\n"},
		{verified + "--fields sd", "queue   2 of 4\nindex   66 of 128\nhash    0x323e8fc2\nfields  sd\n"},
		{verified + "--fields tcp4=sd --fields udp4=sdfn", "queue   2 of 4\nindex   66 of 128\nhash    0x323e8fc2\nfields  sd\n"},
		{verified + "--fields none", "queue       0 of 4\nnot hashed  no-fields\n"},
		{verified + "--function xor", // 420995bb ^ a18e6450 ^ 0aea06e6
			"function  xor\nqueue     1 of 4\nindex     13 of 128\nhash      0xe96df70d\nfields    sdfn\n"},
		{"rss hash --src 66.9.149.187 --dst 161.142.100.80", "queue   2 of 4\nindex   66 of 128\nhash    0x323e8fc2\nfields  sd\n"},
		{"rss hash --src 66.9.149.187 --dst 161.142.100.80 --protocol icmp --table 100", "queue   2 of 4\nindex   34 of 100\nhash    0x323e8fc2\nfields  sd\n"},
		{verified + "--profile dpdk-virtio --queues 16",
			"profile  dpdk-virtio\nqueue    8 of 16\nindex    120 of 128\nhash     0x51ccc178\nfields   sdfn\n"},
	} {
		if diff := cmp.Diff(c.want, w.OK(strings.Fields(c.line)...)); diff != "" {
			t.Errorf("lbctl %s (-want +got):\n%s", c.line, diff)
		}
	}
}

// Both directions of a flow go to one queue under a symmetric transform, and not without.
func TestRSSHashTransform(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	for transform, same := range map[string]bool{"none": false, "symmetric-xor": true, "symmetric-or-xor": true} {
		there := w.OK("rss", "hash", "--src", "10.0.0.1:1", "--dst", "10.0.0.2:2", "--transform", transform)
		back := w.OK("rss", "hash", "--src", "10.0.0.2:2", "--dst", "10.0.0.1:1", "--transform", transform)
		if (there == back) != same {
			t.Errorf("%s: there\n%s back\n%s", transform, there, back)
		}
	}
}

// A key that is given with a profile is in the driver's byte order: ENA hashes with its bytes reversed.
func TestRSSHashProfileKey(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	plain := w.OK(strings.Fields(verified + "--profile dpdk-ena --key ms -o json")...)
	ena := w.OK(strings.Fields(verified + "--profile ena --key ms -o json")...)
	var a, b struct{ Hash, Key, Note string }
	if json.Unmarshal([]byte(plain), &a) != nil || json.Unmarshal([]byte(ena), &b) != nil {
		t.Fatal(plain, ena)
	}
	if a.Hash != "0x51ccc178" || !strings.HasPrefix(a.Key, "6d:5a:") || b.Hash == a.Hash || !strings.HasPrefix(b.Key, "fa:01:ac:") || a.Note+b.Note != "" {
		t.Errorf("dpdk-ena %+v, ena %+v", a, b)
	}
	if unknown := w.OK(strings.Fields(verified + "--profile ena")...); !strings.Contains(unknown, "note     the key of this NIC is not known, ms is used in its place: ") {
		t.Errorf("no word of the key that is not known:\n%s", unknown)
	}
}

const manyFlows = `# two of Microsoft's vectors, and one packet without ports
66.9.149.187:2794 161.142.100.80:1766 udp

[3ffe:2501:200:1fff::7]:2794 [3ffe:2501:200:3::1]:1766
66.9.149.187 161.142.100.80
`

func TestRSSHashMany(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	want := `SOURCE                        DESTINATION                 PROTOCOL  FIELDS  HASH        INDEX  QUEUE
66.9.149.187:2794             161.142.100.80:1766         udp       sdfn    0x51ccc178  120    0
[3ffe:2501:200:1fff::7]:2794  [3ffe:2501:200:3::1]:1766   tcp       sdfn    0x40207d3d  61     5
66.9.149.187                  161.142.100.80              ip        sd      0x323e8fc2  66     2
`
	code, stdout, stderr := w.Fed(manyFlows, "rss", "hash", "-", "--queues", "8")
	if got := strings.Join(strings.Fields(stdout), " "); got != strings.Join(strings.Fields(want), " ") || code != cli.ExitDone {
		t.Errorf("exit %d, %s\n%s\nwant\n%s", code, stderr, stdout, want)
	}
	_, stdout, _ = w.Fed(manyFlows, "rss", "hash", "-", "-o", "json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines of JSON, want 3:\n%s", len(lines), stdout)
	}
	var third struct{ Source, Protocol, Fields, Hash string }
	if err := json.Unmarshal([]byte(lines[2]), &third); err != nil || third.Source != "66.9.149.187" || third.Hash != "0x323e8fc2" || third.Protocol != "ip" {
		t.Errorf("third line: %+v, %v", third, err)
	}
	if code, stdout, stderr := w.Fed("", "rss", "hash", "-"); code != cli.ExitDone || stdout+stderr != "" {
		t.Errorf("no flows: exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestRSSHashBadFlows(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	for _, c := range []struct{ in, want string }{
		{"10.0.0.1:1\n", "line 1: 1 words: want SRC DST [PROTOCOL]"},
		{"10.0.0.1:1 10.0.0.2:2 tcp x\n", "line 1: 4 words: want SRC DST [PROTOCOL]"},
		{"\n#\n10.0.0.1:1 10.0.0.2:x\n", `line 3: destination "10.0.0.2:x" is not an address, with a port or without: 192.0.2.1:80, "[2001:db8::1]:80"`},
		{"10.0.0.1:1 10.0.0.2:65536\n", `line 1: destination "10.0.0.2:65536" is not an address, with a port or without: 192.0.2.1:80, "[2001:db8::1]:80"`},
		{"fe80::1%eth0 fe80::2\n", `line 1: source "fe80::1%eth0" is not an address, with a port or without: 192.0.2.1:80, "[2001:db8::1]:80"`},
		{"10.0.0.1:1 [::1]:2\n", "line 1: 10.0.0.1:1 to [::1]:2: want both of one address family"},
		{"10.0.0.1:1 10.0.0.2\n", "line 1: 10.0.0.1:1 to 10.0.0.2: want a port on both or on none"},
		{"10.0.0.1:1 10.0.0.2:2 icmp\n", "line 1: 10.0.0.1:1 to 10.0.0.2:2: icmp: want ports with tcp, udp and sctp only"},
		{"10.0.0.1 10.0.0.2 tcp\n", "line 1: 10.0.0.1 to 10.0.0.2: tcp: want ports with tcp, udp and sctp only"},
		{"10.0.0.1:1 10.0.0.2:2 dccp\n", `line 1: protocol "dccp": want tcp, udp, sctp, icmp, icmpv6, esp, ah, gre, or a number from 0 to 255`},
	} {
		code, stdout, stderr := w.Fed(c.in, "rss", "hash", "-")
		if want := "lbctl: " + c.want + "\n  see lbctl rss hash --help\n"; stderr != want || code != cli.ExitUsage || stdout != "" {
			t.Errorf("%q: exit %d, stdout %q, stderr\n%s want\n%s", c.in, code, stdout, stderr, want)
		}
	}
	long := strings.Repeat("x", 1<<17)
	if code, _, stderr := w.Fed("10.0.0.1:1 10.0.0.2:2\n"+long, "rss", "hash", "-"); code != cli.ExitFailed || !strings.Contains(stderr, "line 2: bufio.Scanner: token too long") {
		t.Errorf("a line of 128 KiB: exit %d, %s", code, stderr)
	}
}

func TestRSSHashRefuses(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	for _, c := range []struct{ line, what, hint string }{
		{"rss hash", "missing --src ADDRESS:PORT", "see lbctl rss hash --help"},
		{"rss hash - --src 10.0.0.1:1", "--src, --dst and --protocol with flows from standard input", "see lbctl rss hash --help"},
		{"rss hash flows", `unexpected argument "flows"`, "see lbctl rss hash --help"},
		{verified + "--profile ixgb", `--profile: "ixgb" is not known`, "did you mean --profile ixgbe?"},
		{verified + "--profile ixgbe --queues 0", "--queues: 0: want 1 to 65536", "see lbctl rss hash --help"},
		{verified + "--table 0", "--table: 0: want 1 to 65536", "see lbctl rss hash --help"},
		{verified + "--function top", `--function: hash function "top": want one of ["toeplitz" "xor" "crc32"]`, "see lbctl rss hash --help"},
		{verified + "--transform xor", `--transform: input transform "xor": want one of ["none" "symmetric-xor" "symmetric-or-xor"]`, "see lbctl rss hash --help"},
		{verified + "--fields sx", `--fields: hash fields "sx": want letters of "mvtsdfnelr", or none`, "see lbctl rss hash --help"},
		{verified + "--fields vsd", "--fields: hash fields vsd of tcp4: in which order a NIC hashes v is not specified; want sdfn", "see lbctl rss hash --help"},
		{verified + "--transform symmetric-xor --fields sdf", "--fields: hash fields sdf of tcp4 under symmetric-xor: want both addresses or none, both ports or none, and no other", "see lbctl rss hash --help"},
	} {
		w.Refused(c.line, cli.ExitUsage, c.what, c.hint)
	}
}

// --interface takes the settings of a NIC, and the other flags change them; --key and --fill take what ethtool -x prints.
func TestRSSHashOfInterface(t *testing.T) {
	card := nictest.NewCard()
	card.Settings.Table[7] = 2
	run := func(line string) (answer cli.RSSAnswer) {
		t.Helper()
		code, out, errs := card.Run(t, Command, "", strings.Fields("hash --src 66.9.149.187:2794 --dst 161.142.100.80:1766 -o json "+line)...)
		if code != 0 || json.Unmarshal([]byte(out), &answer) != nil {
			t.Fatalf("%s: exit %d, %s%s", line, code, out, errs)
		}
		return answer
	}
	if got := run("--interface eth0"); got.Hash != "0x51ccc178" || got.Table != 8 || got.Queues != 4 || got.Index != 0 {
		t.Errorf("eth0: %+v", got)
	}
	if got := run("--interface eth0 --protocol udp"); got.Hash != "0x323e8fc2" || got.Index != 2 || got.Queue != 2 {
		t.Errorf("eth0, udp over the addresses: %+v", got)
	}
	if got := run("--interface eth0 --queues 2 --key symmetric"); got.Queues != 2 || got.Table != 8 || !strings.HasPrefix(got.Key, "6d:5a:6d") {
		t.Errorf("eth0 with other words: %+v", got)
	}
	card.Settings.Table, card.Settings.Key = rss.Table{3, 3}, nil
	if got := run("--interface eth0 --key ms"); got.Queue != 3 || len(got.Unreachable) != 3 {
		t.Errorf("eth0 whose driver shows no key: %+v", got)
	}
	for line, want := range map[string]string{"--interface eth9": "no such interface", "--interface veth0": "has no RSS", "--interface eth0": "does not report its rss key"} {
		if code, _, errs := card.Run(t, Command, "", strings.Fields("hash --src 10.0.0.1:1 --dst 10.0.0.2:2 "+line)...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %s; want %q", line, code, errs, want)
		}
	}
}

const ethtoolText = `RX flow hash indirection table for eth0 with 6 RX ring(s):
    0:      0     1     2     3     0     1     2     3
    8:      4     4     4     4     4     4     4     4
RSS hash key:
6d:5a:56:da:25:5b:0e:c2:41:67:25:3d:43:a3:8f:b0:d0:ca:2b:cb:ae:7b:30:b4:77:cb:2d:a3:80:30:f2:0c:6a:42:b7:3b:be:ac:01:fa
RSS hash function:
    toeplitz: on
    xor: off
`

func TestRSSHashOfEthtool(t *testing.T) {
	w := nictest.New(t, Command, PortsCommand)
	file := w.Write("eth0.txt", ethtoolText)
	got := w.OK(strings.Fields(verified + "--key @" + file + " --fill @" + file)...)
	want := "queue   4 of 6\nindex   8 of 16\nhash    0x51ccc178\nfields  sdfn\ntable   no entry names queue 5: what is hashed never comes to it\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	code, _, errs := w.Fed("", strings.Fields("rss ports --src 10.0.0.1 --dst 10.0.0.2:80 --queues 6 --queue 5 --fill @"+file)...)
	if code != cli.ExitUsage || !strings.Contains(errs, "--queue: 5 is no queue of the indirection table") {
		t.Errorf("ports to a queue beyond the table: exit %d, %s", code, errs)
	}
	code, _, errs = w.Fed("", "rss", "ports", "--src", "10.0.0.1", "--dst", "10.0.0.2:80", "--queue", "1", "--fill", "weight 1 0 1")
	if code != cli.ExitUsage || !strings.Contains(errs, "no entry of the indirection table names queue 1") {
		t.Errorf("ports to a queue without an entry: exit %d, %s", code, errs)
	}
}
