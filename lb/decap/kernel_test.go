package decap

import (
	"maps"
	"net/netip"
	"path/filepath"
	"testing"

	"lbctl/lb"
	"lbctl/lb/testns"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
)

// kernel is the program with its tables, attached nowhere.
type kernel struct {
	t testing.TB
	*unit
	seen map[lb.Reason]lb.Count // so far
}

// loaded loads the program for outer packets to locals and inner ones to vips.
func loaded(t testing.TB, o Options) *kernel {
	t.Helper()
	dir := testns.PinDir(t)
	if err := xdp.MakeDir(dir); err != nil {
		t.Fatal(err)
	}
	u, err := open(place(filepath.Join(dir, "0_0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.close(); err != nil {
			t.Error("close:", err)
		}
	})
	if o, err = o.check(); err != nil {
		t.Fatal(err)
	}
	if err := u.fill(o); err != nil {
		t.Fatal(err)
	}
	k := &kernel{t: t, unit: u}
	k.seen = k.counted()
	return k
}

// result is what became of a frame.
type result struct {
	Reason lb.Reason
	Pass   bool
	Frame  []byte
}

// send runs the program on one frame, and holds its counters against what it says of itself: one
// packet, under one reason, with its bytes.
func (k *kernel) send(frame []byte) result {
	k.t.Helper()
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	verdict, err := k.LbDecap.Run(&run)
	if err != nil {
		k.t.Fatalf("run on % x: %v", frame, err)
	}
	const drop, pass = 1, 2 // XDP_DROP, XDP_PASS
	if verdict != drop && verdict != pass {
		k.t.Fatalf("verdict %d on % x", verdict, frame)
	}
	r := result{Pass: verdict == pass, Frame: run.DataOut}
	counted := k.counted()
	for reason, n := range k.seen {
		if counted[reason] != n {
			r.Reason = reason
		}
	}
	one := k.seen[r.Reason]
	k.seen[r.Reason] = lb.Count{Packets: one.Packets + 1, Bytes: one.Bytes + uint64(len(frame))}
	if !maps.Equal(k.seen, counted) {
		k.t.Errorf("counters after a packet (-want +got):\n%s", cmp.Diff(k.seen, counted))
	}
	k.seen = counted
	return r
}

func (k *kernel) counted() map[lb.Reason]lb.Count {
	k.t.Helper()
	c, err := counters(k.ByReason)
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

func addresses(all ...string) (parsed []netip.Addr) {
	for _, a := range all {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return parsed
}
