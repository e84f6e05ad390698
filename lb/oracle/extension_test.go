package oracle_test

import (
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// TestExtensions walks over extension headers of IPv6; the last of each row names UDP.
func TestExtensions(t *testing.T) {
	options := []byte{60, 0, 1, 4, 0, 0, 0, 0}
	for name, c := range map[string]struct {
		first   byte
		headers []byte
		want    lb.Reason
	}{
		"none":                {17, nil, lb.Forwarded},
		"hop by hop":          {0, named(17, options), lb.Forwarded},
		"long":                {60, append([]byte{17, 1}, make([]byte, 14)...), lb.Forwarded},
		"six":                 {60, named(17, slices.Repeat(options, 6)), lb.Forwarded},
		"seven":               {60, named(17, slices.Repeat(options, 7)), lb.IPv6Extension},
		"routed":              {43, []byte{17, 0, 0, 0, 0, 0, 0, 0}, lb.Forwarded},
		"to be routed":        {43, []byte{17, 0, 0, 1, 0, 0, 0, 0}, lb.IPv6Extension},
		"atomic fragment":     {44, []byte{17, 0, 0, 0, 0, 0, 0, 9}, lb.Forwarded},
		"reserved bits":       {44, []byte{17, 0xff, 0, 6, 0, 0, 0, 9}, lb.Forwarded},
		"two fragments":       {44, []byte{44, 0, 0, 0, 0, 0, 0, 9, 17, 0, 0, 0, 0, 0, 0, 9}, lb.IPv6Extension},
		"later, then AH":      {44, []byte{51, 0, 0, 8, 0, 0, 0, 9}, lb.FragmentOrphan},
		"first, then options": {44, append([]byte{60, 0, 0, 1, 0, 0, 0, 9}, named(17, options)...), lb.Forwarded},
		"fragment of ICMP":    {44, []byte{58, 0, 0, 1, 0, 0, 0, 9}, lb.NotTCPUDP},
		"past the end":        {60, []byte{17, 200, 1, 4, 0, 0, 0, 0}, lb.MalformedIP},
		"AH":                  {51, nil, lb.IPv6Extension},
		"mobility":            {135, nil, lb.IPv6Extension},
		"HIP":                 {139, nil, lb.IPv6Extension},
		"Shim6":               {140, nil, lb.IPv6Extension},
		"no next header":      {59, nil, lb.NotTCPUDP},
		"ESP":                 {50, nil, lb.NotTCPUDP},
		"ICMP of IPv4":        {1, nil, lb.NotTCPUDP},
	} {
		n := newNetwork(t, false, false, lb.NAT, packet.UDP, 1500)
		frame := wire{ttl: 9, extra: c.headers}.frame(n.flow())
		if c.headers != nil { // the builder names what ends a list of options
			copy(frame[54:], c.headers)
		}
		frame[20] = c.first
		if v := n.Process(ingress, frame); v.Reason != c.want {
			t.Errorf("%s: %v, want %v", name, v.Reason, c.want)
		}
	}
}

// named makes the last of some headers of 8 bytes name a protocol.
func named(protocol byte, headers []byte) []byte {
	headers = slices.Clone(headers)
	headers[len(headers)-8] = protocol
	return headers
}

// TestCutShort: headers that the payload length, or the frame, ends in.
func TestCutShort(t *testing.T) {
	n := newNetwork(t, false, false, lb.NAT, packet.UDP, 1500)
	options := wire{ttl: 9, extra: []byte{17, 0, 1, 4, 0, 0, 0, 0}}.frame(n.flow())
	fragment := wire{ttl: 9, extra: []byte{17, 0, 0, 1, 0, 0, 0, 9}}.frame(n.flow())
	fragment[20] = 44
	for name, c := range map[string]struct {
		frame  []byte
		length byte
		want   lb.Reason
	}{
		"options":              {options, 7, lb.MalformedIP},
		"fragment":             {fragment, 7, lb.MalformedIP},
		"UDP":                  {options, 15, lb.MalformedL4},
		"nothing":              {options, 0, lb.MalformedIP},
		"more than is there":   {options, 17, lb.MalformedIP},
		"first fragment's UDP": {fragment, 15, lb.MalformedL4},
	} {
		frame := slices.Clone(c.frame)
		frame[19] = c.length
		if v := n.Process(ingress, frame); v.Reason != c.want {
			t.Errorf("%s: %v, want %v", name, v.Reason, c.want)
		}
	}
}
