package lb_test

import (
	"errors"
	"strings"
	"testing"

	"lbctl/lb"
)

func TestServicePorts(t *testing.T) {
	one, several := valid(0), valid(0)
	ranged(&several, 8000, 8099)
	if one.Ports() != "80" || several.Ports() != "8000-8099" || !one.HasPort(80) {
		t.Errorf("one port: %s, several: %s", one.Ports(), several.Ports())
	}
	for port, want := range map[uint16]bool{7999: false, 8000: true, 8099: true, 8100: false} {
		if several.HasPort(port) != want || one.HasPort(port) {
			t.Errorf("port %d: want %v", port, want)
		}
	}
}

// An index finds the service of a port, and forgets one that is removed.
func TestIndexInRange(t *testing.T) {
	low, high, udp := valid(0), valid(1), valid(2)
	ranged(&low, 8000, 8099)
	ranged(&high, 8100, 8199)
	ranged(&udp, 8000, 8999)
	udp.VIP.Protocol = 17
	x := lb.NewIndex(low, high, udp)
	find := func(address string, want lb.VIP) {
		t.Helper()
		v, found := x.InRange(lb.VIP{Address: ends(address), Protocol: 6})
		if v != want || found != (want != lb.VIP{}) {
			t.Errorf("%s: %v, want %v", address, v, want)
		}
	}
	find("10.0.0.1:7999", lb.VIP{})
	find("10.0.0.1:8000", lb.VIP{}) // the VIP itself is no port of a range
	find("10.0.0.1:8001", low.VIP)
	find("10.0.0.1:8099", low.VIP)
	find("10.0.0.1:8150", high.VIP)
	find("10.0.0.1:8200", lb.VIP{})
	find("10.0.0.2:8001", lb.VIP{})
	x.Remove(low)
	find("10.0.0.1:8001", lb.VIP{})
	find("10.0.0.1:8199", high.VIP)
	x.Remove(high)
	x.Remove(udp)
	if left := x.Ranges(low.VIP.Address.Addr()); len(left) > 0 {
		t.Errorf("ranges are left of services that were removed: %+v", left)
	}
}

// The error about ports in common names both services; an address has room for so many ranges.
func TestIndexPorts(t *testing.T) {
	first, second := valid(0), valid(1)
	ranged(&first, 8000, 8099)
	ranged(&second, 8050, 8149)
	with, err := lb.NewIndex(first).Conflict(second)
	if with != first.VIP || !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), "tcp 10.0.0.1:8050-8149 and tcp 10.0.0.1:8000-8099 have ports in common") {
		t.Errorf("%v, %v", with, err)
	}
	x := lb.NewIndex()
	for i := range uint16(lb.MaxPortRanges) {
		s := valid(0)
		ranged(&s, 1000+10*i, 1009+10*i)
		if _, err := x.Conflict(s); err != nil {
			t.Fatal(err)
		}
		x.Add(s)
	}
	last := valid(1)
	ranged(&last, 9000, 9001)
	if _, err := x.Conflict(last); !errors.Is(err, lb.ErrConflict) || x.AllowsPorts(last) {
		t.Errorf("%d ranges and one: %v", lb.MaxPortRanges, err)
	}
	if last.EndPort = 0; !x.AllowsPorts(last) {
		t.Error("one port is refused beside ranges")
	}
}
