package dial

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
)

// TestDeal: one seed gives the same ports, another seed others; none twice; and an address of which half of the ports are
// dealt is left to the kernel.
func TestDeal(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	dealt := func(seed uint64) (all []netip.AddrPort) {
		d := NewDealer(rand.New(rand.NewPCG(seed, 0)), FirstPort, LastPort)
		for range 1000 {
			all = append(all, d.Deal(a), d.Deal(b))
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
	d := NewDealer(rand.New(rand.NewPCG(7, 0)), 100, 199)
	for range 50 {
		if p := d.Deal(a).Port(); p < 100 || p > 199 {
			t.Fatalf("port %d was dealt", p)
		}
	}
	if got := d.Deal(a); got.Port() != 0 {
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
	first, err := FromDealt(t.Context(), netip.AddrPortFrom(to.Addr(), 0), to)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := FromDealt(t.Context(), Local(first), to)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got, taken := Local(second).Port(), Local(first).Port(); got == taken {
		t.Errorf("port %d, which is taken", got)
	}
}
