package decap

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"lbctl/lb"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

func TestAttachRefused(t *testing.T) {
	inNamespace(t)
	dir := pinDir(t)
	for _, name := range []string{"eth", "taken", "jumbo"} {
		veth(t, name, "10.1.0.1/24")
	}
	veth(t, "bare")
	sysctl(t, "net/ipv6/conf/bare/disable_ipv6", "1")
	hold(t, "taken", "squatter")
	enlarge(t, "jumbo")
	mustAttach(t, dir, "eth", Options{})
	for _, c := range []struct {
		name, device string
		options      Options
		want         error
		says         string
	}{
		{"no such interface", "none", Options{}, lb.ErrNotFound, "interface none"},
		{"another program", "taken", Options{}, lb.ErrConflict, `taken already has the XDP program "squatter"`},
		{"another mode", "eth", Options{Mode: lb.Generic}, lb.ErrConflict, "eth is attached in mode native"},
		{"a large MTU", "jumbo", Options{Mode: lb.Native}, lb.ErrUnsupported, "MTU 9000"},
		{"no address", "bare", Options{}, lb.ErrInvalid, "bare has no address"},
		{"a nameless mode", "eth", Options{Mode: "fast"}, lb.ErrInvalid, `"fast"`},
		{"a VIP of nobody", "eth", Options{VIPs: addresses("0.0.0.0")}, lb.ErrInvalid, "0.0.0.0"},
		{"a VIP of many", "eth", Options{VIPs: addresses("ff02::1")}, lb.ErrInvalid, "ff02::1"},
		{"a local with a zone", "eth", Options{Locals: addresses("fe80::1%eth")}, lb.ErrInvalid, "fe80::1%eth"},
		{"no address at all", "eth", Options{Locals: []netip.Addr{{}}}, lb.ErrInvalid, "invalid IP"},
	} {
		before, err := List(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Attach(t.Context(), dir, c.device, c.options)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v that says %s", c.name, err, c.want, c.says)
		}
		after, err := List(dir)
		if diff := cmp.Diff(before, after, exact...); diff != "" || err != nil {
			t.Errorf("%s: changed %s, %v", c.name, diff, err)
		}
	}
	if err := Detach(t.Context(), dir, "eth"); err != nil {
		t.Fatal(err)
	}
	nothingIn(t, dir) // of those that were refused
}

// Auto becomes generic where the driver refuses, and says so.
func TestAuto(t *testing.T) {
	inNamespace(t)
	veth(t, "jumbo", "10.1.0.1/24")
	enlarge(t, "jumbo")
	dir := pinDir(t)
	i := mustAttach(t, dir, "jumbo", Options{})
	if i.Mode != lb.Generic || len(i.Notes) != 1 || !strings.Contains(i.Notes[0], "MTU 9000") {
		t.Errorf("attached %+v", i)
	}
	if i = mustAttach(t, dir, "jumbo", Options{Mode: lb.Generic}); i.Mode != lb.Generic || len(i.Notes) != 0 {
		t.Errorf("attached again %+v", i)
	}
}

func enlarge(t *testing.T, name string) {
	t.Helper()
	for _, end := range []string{name + "-peer", name} {
		l, err := netlink.LinkByName(end)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMTU(l, 9000); err != nil {
			t.Fatal(err)
		}
	}
}
