package traffic

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"lbctl/testbed/traffic/dial"
)

// TestDeal: one seed gives the same ports, another seed others; none twice; and a port range that is half dealt is left to the
// kernel.
func TestDeal(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	dealt := func(seed uint64) (all []netip.AddrPort) {
		d := newDealer(seed)
		for range 1000 {
			all = append(all, d.deal(a), d.deal(b))
		}
		return all
	}
	one := dealt(7)
	if !slices.Equal(one, dealt(7)) || slices.Equal(one, dealt(8)) {
		t.Error("the seed does not decide the ports")
	}
	sorted := slices.SortedFunc(slices.Values(one), netip.AddrPort.Compare)
	if n := len(slices.Compact(sorted)); n != 2000 {
		t.Errorf("%d different ports of 2,000", n)
	}
	d := newDealer(7)
	for range mostDealt {
		if p := d.deal(a).Port(); p < firstPort {
			t.Fatalf("port %d was dealt", p)
		}
	}
	if got := d.deal(a); got.Port() != 0 {
		t.Errorf("%v was dealt of an address of which half are", got)
	}
}

// TestPortInUse: a port that is taken is left alone.
func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to := l.Addr().(*net.TCPAddr).AddrPort()
	first, err := from(t.Context(), netip.AddrPortFrom(to.Addr(), 0), to)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := from(t.Context(), dial.Local(first), to)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got, taken := dial.Local(second).Port(), dial.Local(first).Port(); got == taken || got < firstPort || int(got) >= firstPort+somePorts {
		t.Errorf("port %d, where %d is taken: want another that may be dealt", got, taken)
	}
}
