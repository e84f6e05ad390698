package identify

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss/packet"
)

func TestRead(t *testing.T) {
	ap := netip.MustParseAddrPort
	want := []Observation{
		{Flow: packet.Flow{Source: ap("192.0.2.1:1234"), Destination: ap("198.51.100.1:80"), Protocol: packet.TCP}, Hash: 0x51ccc178, HasHash: true, Queue: 3, HasQueue: true, Line: 3},
		{Flow: packet.Flow{Source: ap("[2001:db8::1]:53"), Destination: ap("[2001:db8::2]:53"), Protocol: packet.UDP}, Hash: 7, HasHash: true, Line: 4},
		{Flow: packet.Flow{Source: ap("192.0.2.1:0"), Destination: ap("192.0.2.2:0"), Protocol: 1}, HasQueue: true, Line: 5},
		{
			Flow:  packet.Flow{Source: ap("192.0.2.1:9"), Destination: ap("192.0.2.2:4789"), Protocol: packet.UDP},
			Inner: packet.Flow{Source: ap("10.0.0.1:1"), Destination: ap("10.0.0.2:2"), Protocol: packet.TCP},
			Queue: 1, HasQueue: true, Line: 6,
		},
		{Input: []byte{0xab, 0xcd}, Hash: 0xffffffff, HasHash: true, Line: 7},
	}
	for name, text := range map[string]string{
		"csv": `# a comment
src,dst,protocol,inner_src,inner_dst,inner_protocol,input,hash,queue
192.0.2.1:1234, 198.51.100.1:80, , , , , ,0x51ccc178,3
[2001:db8::1]:53,[2001:db8::2]:53,udp,,,,,7,
::ffff:192.0.2.1,192.0.2.2,1,,,,,,0
192.0.2.1:9,192.0.2.2:4789,udp,10.0.0.1:1,10.0.0.2:2,tcp,,,1
,,,,,,abCD,0xffffffff,
`,
		"json": `[

  {"src": "192.0.2.1:1234", "dst": "198.51.100.1:80", "hash": "0x51ccc178", "queue": 3},
  {"src": "[2001:db8::1]:53", "dst": "[2001:db8::2]:53", "protocol": "udp", "hash": 7},
  {"src": "::ffff:192.0.2.1", "dst": "192.0.2.2", "protocol": "1", "queue": "0"},
  {"src": "192.0.2.1:9", "dst": "192.0.2.2:4789", "protocol": "udp", "inner_src": "10.0.0.1:1", "inner_dst": "10.0.0.2:2", "queue": 1},
  {"input": "abcd", "hash": 4294967295}
]
`,
		"json lines": "\xef\xbb\xbf" + `

{"src": "192.0.2.1:1234", "dst": "198.51.100.1:80", "hash": "0x51ccc178", "queue": 3}
{"src": "[2001:db8::1]:53", "dst": "[2001:db8::2]:53", "protocol": "udp", "hash": 7}
{"src": "::ffff:192.0.2.1", "dst": "192.0.2.2", "protocol": "1", "queue": "0"}
{"src": "192.0.2.1:9", "dst": "192.0.2.2:4789", "protocol": "udp", "inner_src": "10.0.0.1:1", "inner_dst": "10.0.0.2:2", "queue": 1}
{"input": "abcd", "hash": 4294967295}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	row := func(names, cells string) string { return names + "\n" + cells + "\n" }
	many := "src,dst,queue\n" + strings.Repeat("192.0.2.1:1,192.0.2.2:2,0\n", MaxObservations+1)
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "read observations: the input is empty"},
		{"space", " \n\n", "read observations: the input is empty"},
		{"names alone", "src,dst,hash\n", "read observations: there are none"},
		{"empty array", "[]", "read observations: there are none"},
		{"unknown column", row("src,dest,hash", "a,b,c"), `line 1: column "dest" is not known: want a first line with names of src, dst,`},
		{"column twice", row("src,dst,src", "a,b,c"), `line 1: column "src" is there twice`},
		{"too many cells", row("src,dst,hash", "192.0.2.1:1,192.0.2.2:2,1,2"), "line 2: wrong number of fields"},
		{"a quote", row("src,dst,hash", `"192.0.2.1:1,192.0.2.2:2,1`), "line 2: extraneous or missing \" in quoted-field"},
		{"no source", row("dst,hash", "192.0.2.2:2,1"), "line 2: src is missing"},
		{"no address", row("src,dst,hash", "192.0.2:1,192.0.2.2:2,1"), `line 2: src "192.0.2:1": want an address and a port`},
		{"port too high", row("src,dst,hash", "192.0.2.1:65536,192.0.2.2:2,1"), `line 2: src "192.0.2.1:65536": want an address and a port`},
		{"families", row("src,dst,hash", "192.0.2.1:1,[2001:db8::1]:2,1"), "line 2: 192.0.2.1 to 2001:db8::1: want both of one address family"},
		{"families of the inner one", row("src,dst,inner_src,inner_dst,hash", "192.0.2.1:1,192.0.2.2:2,[::1]:1,10.0.0.1:2,1"), "line 2: ::1 to 10.0.0.1: want both of one address family"},
		{"zone", row("src,dst,hash", "[fe80::1%eth0]:1,[fe80::2]:2,1"), "want an address without a zone"},
		{"one port", row("src,dst,hash", "192.0.2.1:1,192.0.2.2,1"), "want both with a port, or both without"},
		{"tcp without ports", row("src,dst,protocol,hash", "192.0.2.1,192.0.2.2,tcp,1"), "want both with a port, or both without"},
		{"protocol", row("src,dst,protocol,hash", "192.0.2.1,192.0.2.2,tcpp,1"), `line 2: protocol "tcpp": want tcp, udp, another name or a number from 0 to 255`},
		{"hash too large", row("src,dst,hash", "192.0.2.1:1,192.0.2.2:2,0x123456789"), `line 2: hash "0x123456789": want 0 to 4294967295`},
		{"hash without 0x", row("src,dst,hash", "192.0.2.1:1,192.0.2.2:2,51ccc178"), `line 2: hash "51ccc178": want 0 to`},
		{"negative queue", row("src,dst,queue", "192.0.2.1:1,192.0.2.2:2,-1"), `line 2: queue "-1": want 0 to 65535`},
		{"nothing seen", row("src,dst,queue", "192.0.2.1:1,192.0.2.2:2,"), "line 2: neither hash nor queue"},
		{"raw and tuple", row("src,input,queue", "192.0.2.1:1,ab,1"), "line 2: both a tuple and a raw input"},
		{"raw", row("input,queue", "abc,1"), "line 2: input: want hexadecimal digits"},
		{"raw too long", row("input,queue", strings.Repeat("ab", MaxInput+1)+",1"), "line 2: input of 253 bytes: want 1 to 252"},
		{"too many", many, "more than 65536 observations"},
		{"json field", `[` + "\n" + `{"src": "192.0.2.1:1", "destination": "b"}]`, `line 2: json: unknown field "destination"`},
		{"json type", `{"src": 3}`, "line 1: src: a JSON number where a string is wanted"},
		{"json null", `{"src": "192.0.2.1:1", "dst": "192.0.2.1:1", "hash": null}`, "line 1: "},
		{"json fraction", `{"src": "192.0.2.1:1", "dst": "192.0.2.1:1", "hash": 1.5}`, `line 1: hash "1.5": want`},
		{"json number", "[\n\n3]", "line 3: a JSON number where an object is wanted"},
		{"json cut", "[\n{\"src\": \"192.0.2.1:1\", ", "line 2: the observation does not end"},
		{"json array cut", `[{"src": "192.0.2.1:1", "dst": "192.0.2.1:1", "hash": 1}`, "line 1: the array does not end"},
		{"json trailing", `[{"src": "192.0.2.1:1", "dst": "192.0.2.1:1", "hash": 1}]` + "\n,", "line 2: text after the last observation"},
		{"json second line", `{"src": "192.0.2.1:1", "dst": "192.0.2.1:1", "hash": 1}` + "\n{}", "line 2: src is missing"},
		{"not text", "\x7fELF\x02\x01", "line 1: column"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Read(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d observations, error %v; want %q", len(got), err, c.want)
			}
		})
	}
}

// FuzzRead checks for any text that there is no panic, that the observations are valid and have their lines, and that
// errors name an existing line.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"src,dst,hash\n192.0.2.1:1,192.0.2.2:2,0x51ccc178\n",
		"src,dst,protocol,inner_src,inner_dst,queue\n[::1]:1,[::2]:2,udp,10.0.0.1,10.0.0.2,3\n",
		"input,hash\nabcd,7\n",
		`[{"src":"192.0.2.1:1","dst":"192.0.2.2:2","hash":"0x51ccc178","queue":1}]`,
		"{\"input\":\"ab\",\"queue\":1}\n{\"input\":\"cd\",\"queue\":2}",
		"[", "{", "#", "\"", "[[]]", "{}{}", "\xef\xbb\xbf",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := Read(strings.NewReader(text))
		if err != nil {
			var line int
			if n, _ := fmt.Sscanf(err.Error(), "line %d:", &line); n == 1 && (line < 1 || line > strings.Count(text, "\n")+1) {
				t.Errorf("error %v, but there is no such line", err)
			}
			return
		}
		for i := range all {
			if err := all[i].validate(); err != nil || all[i].Line < 1 {
				t.Errorf("observation %+v: %v", all[i], err)
			}
		}
		if len(all) > 50 {
			return
		}
		if _, err := Identify(all, Options{}); err != nil && !strings.Contains(err.Error(), "want one of the two in all") {
			t.Errorf("identify: %v", err)
		}
	})
}
