package oracle_test

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// failer is a test of either package.
type failer interface {
	Context() context.Context
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// TestBrought: what leaves for a replica is what its sender would have sent there, byte for byte and
// checksums computed from scratch, with one hop less to go.
func TestBrought(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t, 1500)
		w := drawWire(t, n.client.Addr().Is4())
		frame := w.frame(n.flow())
		v := n.Process(ingress, frame)
		if v.Action != oracle.Redirect || v.Reason != lb.Forwarded || v.Egress != egress {
			t.Fatalf("%v %v by %d", v.Action, v.Reason, v.Egress)
		}
		f := n.flow()
		if n.mode == lb.NAT {
			f.Destination = n.replica
		}
		if n.mode != lb.DSR {
			w.ttl--
		}
		w.tags = nil
		want := onward(w.frame(f))
		if n.mode == lb.IPIP {
			want = want[14:]
			v.Frame = v.Frame[14+overhead(n):]
		}
		same(t, v.Frame, want)
	})
}

// onward gives a frame the MAC addresses of its next hop.
func onward(frame []byte) []byte {
	copy(frame, []byte{2, 3, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0})
	return frame
}

func overhead(n network) int {
	if n.replica.Addr().Is4() {
		return 20
	}
	return 40
}

// TestOuter has outer headers written out, as RFC 791 and RFC 8200 have them.
func TestOuter(t *testing.T) {
	for _, c := range []struct {
		v4, replicaV4 bool
		want          string
	}{
		{true, true, "0800 4528 0040 0000 4000 4004 2594 0a0000fe 0a000001"},
		{true, false, "86dd 62816045 002c 04 40 20010db8000200000000000000 0000fe 20010db8000200000000000000 000001"},
		{false, false, "86dd 628xxxxx 0040 29 40 20010db8000200000000000000 0000fe 20010db8000200000000000000 000001"},
	} {
		n := newNetwork(t, c.v4, c.replicaV4, lb.IPIP, packet.TCP, 1500)
		frame := wire{ttl: 9, payload: []byte("1234")}.frame(n.flow())
		why := explained(t, n.Datapath, frame)
		want := strings.ReplaceAll(c.want, " ", "")
		if i := strings.Index(want, "xxxxx"); i >= 0 || !c.replicaV4 {
			want = want[:7] + hex.EncodeToString([]byte{byte(why.Hash >> 16 & 0xf), byte(why.Hash >> 8), byte(why.Hash)})[1:] + want[12:]
		}
		if got := hex.EncodeToString(why.After[12 : 14+overhead(n)]); got != want {
			t.Errorf("outer %s, want %s", got, want)
		}
		if why.Outer.Destination != n.replica.Addr() || why.Rewritten != n.flow() {
			t.Errorf("%+v", why)
		}
	}
}

// TestTags: they stay with a packet that leaves where it came, and with one that is passed.
func TestTags(t *testing.T) {
	n := newNetwork(t, true, true, lb.NAT, packet.TCP, 1500)
	w := wire{ttl: 9, tags: []byte{0x88, 0xa8, 0, 1, 0x81, 0, 0, 2}}
	v := n.Process(egress, w.frame(n.flow()))
	f := n.flow()
	f.Destination = n.replica
	w.ttl--
	same(t, v.Frame, onward(w.frame(f)))
	if v.Action != oracle.Transmit {
		t.Errorf("%v", v.Action)
	}
	m := oracle.New(oracle.Config{Routes: unresolved{one{1500}}})
	services, err := n.Services()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetService(t.Context(), services[0]); err != nil {
		t.Fatal(err)
	}
	v = m.Process(ingress, w.frame(n.flow()))
	same(t, v.Frame, w.frame(f))
	if v.Action != oracle.Pass || v.Reason != lb.NeighbourMissing {
		t.Errorf("%v %v", v.Action, v.Reason)
	}
}

// TestReturned: an answer is what the VIP would have sent.
func TestReturned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t, 1500)
		w := drawWire(t, n.client.Addr().Is4())
		answer := packet.Flow{Source: n.replica, Destination: n.client, Protocol: n.vip.Protocol}
		if n.replica.Addr().Is4() != n.client.Addr().Is4() {
			return
		}
		v := n.Process(ingress, w.frame(answer))
		if n.mode != lb.NAT {
			if v.Reason != lb.NotOurs {
				t.Fatalf("%v", v.Reason)
			}
			return
		}
		answer.Source, w.tags, w.ttl = n.vip.Address, nil, w.ttl-1
		same(t, v.Frame, onward(w.frame(answer)))
		if v.Reason != lb.Returned {
			t.Fatalf("%v", v.Reason)
		}
	})
}

// same compares two frames.
func same(t failer, got, want []byte) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("frame\n%x, want\n%x", got, want)
	}
}
