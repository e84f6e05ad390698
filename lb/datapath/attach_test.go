package datapath

import (
	"errors"
	"strings"
	"testing"

	"lbctl/lb"

	"github.com/vishvananda/netlink"
)

// A link whose MTU is too large for the driver's XDP is refused in mode native. Mode auto takes generic, and
// logs why.
func TestAttachLargeMTU(t *testing.T) {
	inNamespace(t)
	l := veth(t, "jumbo")
	peer, err := netlink.LinkByName("jumbo-peer")
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []netlink.Link{peer, l} {
		if err := netlink.LinkSetMTU(end, 9000); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, Options{})
	_, err = d.Attach(t.Context(), "jumbo", lb.Native)
	if !errors.Is(err, lb.ErrUnsupported) || !strings.Contains(err.Error(), "MTU 9000") {
		t.Errorf("native: %v, want the MTU named", err)
	}
	got, err := d.Attach(t.Context(), "jumbo", lb.Auto)
	if err != nil || got.Mode != lb.Generic {
		t.Errorf("auto: %+v, %v, want generic", got, err)
	}
}

func TestOtherLimits(t *testing.T) {
	inNamespace(t)
	dir := pinDir(t)
	open(t, Options{Dir: dir}).Close()
	_, err := Open(t.Context(), Options{Dir: dir, Limits: lb.Limits{Services: 1, Replicas: 1, Slots: 1}})
	if !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), dir) {
		t.Errorf("open with other limits: %v, want a conflict that names %s", err, dir)
	}
}
