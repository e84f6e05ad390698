package hash

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss"
)

// Every port that is allowed to change is compared with the definition of the hash, for the source port and the destination's.
func TestRSSPortsAdjust(t *testing.T) {
	w := nictest.New(t, PortsCommand)
	source, destination := netip.MustParseAddrPort("198.51.100.7:40000"), netip.MustParseAddrPort("192.0.2.1:6379")
	for _, c := range []struct {
		of, bits string
		mask     uint16
		aim      string
		entry    func(i uint32) bool
	}{
		{"source", "7", 0x007f, "--queue 2", func(i uint32) bool { return i%4 == 2 }},
		{"source", "0x0f0f", 0x0f0f, "--queue 1,3", func(i uint32) bool { return i%2 == 1 }},
		{"destination", "dst:9", 0x01ff, "--entry 5,77", func(i uint32) bool { return i == 5 || i == 77 }},
		{"destination", "dst:0x8001", 0x8001, "--entry 5", func(i uint32) bool { return i == 5 }},
		{"source", "16", 0xffff, "--queue 0", func(i uint32) bool { return i%4 == 0 }},
	} {
		line := fmt.Sprintf("rss ports --src %v --dst %v --adjust %s %s", source, destination, c.bits, c.aim)
		want := map[uint16]bool{}
		for port := range 1 << 16 {
			s, d := source, destination
			if c.of == "source" {
				s = netip.AddrPortFrom(s.Addr(), uint16(port))
			} else {
				d = netip.AddrPortFrom(d.Addr(), uint16(port))
			}
			changed := (s.Port() ^ source.Port()) | (d.Port() ^ destination.Port())
			if changed&^c.mask == 0 && c.entry(rss.Toeplitz(rss.MicrosoftKey(), rss.AppendTuple(nil, s, d))%128) {
				want[uint16(port)] = true
			}
		}
		code, text, errs := w.Run(append(strings.Fields(line), "-o", "json")...)
		if wantCode := map[bool]int{true: cli.ExitDone, false: cli.ExitFailed}[len(want) > 0]; code != wantCode {
			t.Fatalf("%s: exit %d, %s", line, code, errs)
		}
		var got adjustAnswer
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		listed := 0
		for _, r := range got.Ports {
			for p := int(r[0]); p <= int(r[1]); p++ {
				if listed++; !want[uint16(p)] {
					t.Fatalf("%s: port %d", line, p)
				}
			}
		}
		if listed != len(want) || got.Count != len(want) || got.Adjusted != c.of || (got.Port == nil) != (len(want) == 0) || got.Port != nil && !want[*got.Port] {
			t.Errorf("%s: %d ports listed, want %d: %+v", line, listed, len(want), got)
		}
	}
}

// What is impossible is said with the rank.
func TestRSSPortsAdjustImpossible(t *testing.T) {
	w := nictest.New(t, PortsCommand)
	line := "rss ports --src 198.51.100.7:40000 --dst 192.0.2.1:6379 --queue 2 --adjust 1"
	code, text, errs := w.Run(strings.Fields(line)...)
	want := "No source port leads to queue 2: the bits 0x0001 change 1 of the 7 bits of the index, and reach 2 of 128 entries.\n\nrank  1 of 7 bits of the index\n"
	if code != cli.ExitFailed || text != want || errs == "" {
		t.Errorf("exit %d, %s\n%s want\n%s", code, errs, text, want)
	}
	want = "The source port 40000 leads to queue 0 or 1 as it is.\n"
	if text := w.OK(strings.Fields("rss ports --src 198.51.100.7:40000 --dst 192.0.2.1:6379 --queue 0,1 --adjust 3")...); text[:len(want)] != want {
		t.Errorf("%s", text)
	}
}

func TestRSSPortsAdjustBadInput(t *testing.T) {
	w := nictest.New(t, PortsCommand)
	see := "see lbctl rss ports --help"
	wrong := `: want how many low bits of the source port may change, 1 to 16, or a mask: 7, 0x00fe, dst:7`
	for line, want := range map[string]string{
		"--src 192.0.2.1 --adjust 7 --queue 1":                   `--src: "192.0.2.1" is not an address and a port, of which --adjust changes bits: 198.51.100.7:40000`,
		"--adjust 7 --queue 1":                                   "missing --src ADDRESS",
		"--src 192.0.2.1:80 --adjust 0 --queue 1":                `--adjust: "0"` + wrong,
		"--src 192.0.2.1:80 --adjust 17 --queue 1":               `--adjust: "17"` + wrong,
		"--src 192.0.2.1:80 --adjust 0x10000 --queue 1":          `--adjust: "0x10000"` + wrong,
		"--src 192.0.2.1:80 --adjust both:7 --queue 1":           `--adjust: "both:7"` + wrong,
		"--src 192.0.2.1:80 --adjust 7":                          "--adjust: want --queue or --entry",
		"--src 192.0.2.1:80 --adjust 7 --queue 1 --entry 1":      "--adjust: want --queue or --entry",
		"--src 192.0.2.1:80 --adjust 7 --entry 128":              "--entry: 128: want 0 to 127",
		"--src 192.0.2.1:80 --adjust 7 --entry -1":               "--entry: -1: want 0 to 127",
		"--src 192.0.2.1:80 --adjust 7 --queue 1 --range 1-9":    "--adjust and --range: want one of them",
		"--src 192.0.2.1:80 --adjust 7 --queue 1 --fields sd":    "--adjust: the NIC does not hash this port of tcp flows: hash fields sd",
		"--src 192.0.2.1:80 --adjust 7 --queue 1 --table 96":     "--adjust: indirection table of 96 entries: want a power of two, or the index is not linear",
		"--src 192.0.2.1 --entry 1":                              "--entry: want --adjust with it",
		"--src 192.0.2.1:80 --adjust 7 --queue 1 --reply key=ms": "--adjust and --reply: want one of them",
	} {
		w.Refused("rss ports --dst 192.0.2.9:443 "+line, 2, want, see)
	}
}
