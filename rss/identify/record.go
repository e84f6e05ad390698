package identify

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// record is an observation as text, in CSV and JSON alike.
type record struct {
	Source        string `json:"src"`
	Destination   string `json:"dst"`
	Protocol      string `json:"protocol"`
	InnerSource   string `json:"inner_src"`
	InnerDest     string `json:"inner_dst"`
	InnerProtocol string `json:"inner_protocol"`
	Input         string `json:"input"`
	Hash          number `json:"hash"`
	Queue         number `json:"queue"`
}

// columns returns the field of each column.
func (r *record) columns() map[string]*string {
	return map[string]*string{
		"src": &r.Source, "dst": &r.Destination, "protocol": &r.Protocol,
		"inner_src": &r.InnerSource, "inner_dst": &r.InnerDest, "inner_protocol": &r.InnerProtocol,
		"input": &r.Input, "hash": (*string)(&r.Hash), "queue": (*string)(&r.Queue),
	}
}

// observation parses the record.
func (r *record) observation() (o Observation, err error) {
	if r.Input != "" {
		if r.Source+r.Destination+r.Protocol+r.InnerSource+r.InnerDest+r.InnerProtocol != "" {
			return o, fmt.Errorf("both a tuple and a raw input")
		}
		if o.Input, err = hex.DecodeString(r.Input); err != nil {
			return o, fmt.Errorf("input: want hexadecimal digits: %w", err)
		}
	} else if o.Flow, err = parseFlow("", r.Source, r.Destination, r.Protocol); err != nil {
		return o, err
	}
	if r.InnerSource+r.InnerDest+r.InnerProtocol != "" {
		if o.Inner, err = parseFlow("inner_", r.InnerSource, r.InnerDest, r.InnerProtocol); err != nil {
			return o, err
		}
	}
	if r.Hash != "" {
		h, err := r.Hash.parse(32)
		if err != nil {
			return o, fmt.Errorf("hash %w", err)
		}
		o.Hash, o.HasHash = uint32(h), true
	}
	if r.Queue != "" {
		q, err := r.Queue.parse(16)
		if err != nil {
			return o, fmt.Errorf("queue %w", err)
		}
		o.Queue, o.HasQueue = rss.Queue(q), true
	}
	return o, nil
}

// number is a number as text: decimal, or hexadecimal after 0x.
type number string

// UnmarshalJSON takes a string or a number.
func (n *number) UnmarshalJSON(b []byte) error {
	if s, err := strconv.Unquote(string(b)); err == nil {
		b = []byte(s)
	}
	*n = number(b)
	if len(b) == 0 || string(b) == "null" {
		return fmt.Errorf("want a number")
	}
	return nil
}

func (n number) parse(bits int) (uint64, error) {
	digits, base := string(n), 10
	if after, ok := strings.CutPrefix(digits, "0x"); ok {
		digits, base = after, 16
	}
	v, err := strconv.ParseUint(digits, base, bits)
	if err != nil {
		return 0, fmt.Errorf("%q: want 0 to %d, decimal or hexadecimal after 0x", string(n), uint64(1)<<bits-1)
	}
	return v, nil
}

// parseFlow reads a tuple; prefix is the prefix of the columns' names.
func parseFlow(prefix, source, destination, protocol string) (f packet.Flow, err error) {
	var ports [2]bool
	if f.Source, ports[0], err = parseEnd(source); err != nil {
		return f, fmt.Errorf("%ssrc %w", prefix, err)
	}
	if f.Destination, ports[1], err = parseEnd(destination); err != nil {
		return f, fmt.Errorf("%sdst %w", prefix, err)
	}
	if f.Protocol, err = parseProtocol(protocol, ports[0]); err != nil {
		return f, fmt.Errorf("%sprotocol %w", prefix, err)
	}
	if ports[0] != ports[1] || !ports[0] && hasPorts(f) {
		return f, fmt.Errorf("%ssrc %q, %sdst %q: want both with a port, or both without and a protocol that has none", prefix, source, prefix, destination)
	}
	return f, nil
}

// parseEnd reads an address, with a port or without.
func parseEnd(s string) (end netip.AddrPort, port bool, err error) {
	if s == "" {
		return end, false, fmt.Errorf("is missing")
	}
	end, err = netip.ParseAddrPort(s)
	if port = err == nil; !port {
		address, err := netip.ParseAddr(s)
		if err != nil {
			return end, false, fmt.Errorf("%q: want an address and a port, 192.0.2.1:80 or [2001:db8::1]:80, or an address", s)
		}
		end = netip.AddrPortFrom(address, 0)
	}
	if end.Addr().Zone() != "" {
		return end, port, fmt.Errorf("%q: want an address without a zone", s)
	}
	return netip.AddrPortFrom(end.Addr().Unmap(), end.Port()), port, nil
}

func parseProtocol(s string, ports bool) (packet.Protocol, error) {
	if s == "" && ports {
		return packet.TCP, nil
	}
	if s == "" {
		return 0, nil
	}
	p, err := packet.ParseAnyProtocol(s)
	if err != nil {
		return 0, fmt.Errorf("%q: want tcp, udp, another name or a number from 0 to 255", s)
	}
	return p, nil
}
