package storetest

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// Opener opens a store in a new place, and returns it with what closes it and opens it again.
type Opener func(t testing.TB) (s store.Store, reopen func() store.Store)

// Contract checks what store.Store promises.
func Contract(t *testing.T, open Opener) {
	t.Run("empty", func(t *testing.T) { empty(t, open) })
	t.Run("append", func(t *testing.T) { appends(t, open) })
	t.Run("several", func(t *testing.T) { severalAtOnce(t, open) })
	t.Run("stale", func(t *testing.T) { staleAppend(t, open) })
	t.Run("kept", func(t *testing.T) { kept(t, open) })
	t.Run("writers", func(t *testing.T) { writers(t, open) })
	t.Run("any edits", func(t *testing.T) { rapid.Check(t, func(r *rapid.T) { anyEdits(r, t, open) }) })
}

// Intent returns an intent with n services, named s0, s1 and so on.
func Intent(n int) intent.Intent {
	i := intent.Default()
	for k := range n {
		s := service(k, 1)
		i.Services = append(i.Services, &s)
	}
	return i
}

func service(k int, replicas int) intent.Service {
	host := netip.AddrFrom4([4]byte{192, 0, 2, 1})
	s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(host, uint16(k+1)), Protocol: packet.TCP}, Mode: lb.NAT}
	for r := range replicas {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(r + 1)}), uint16(k+1))
		s.Replicas = append(s.Replicas, lb.Replica{Address: a, Weight: 1})
	}
	return intent.Service{Name: fmt.Sprintf("s%d", k), Service: s.WithDefaults()}
}

func empty(t *testing.T, open Opener) {
	s, _ := open(t)
	r, err := s.Latest(t.Context())
	if err != nil || r.Number != 0 || !r.Intent.Equal(intent.Default()) {
		t.Errorf("latest %+v, %v; want revision 0 and the default", r, err)
	}
	if all, err := s.History(t.Context(), 0); err != nil || len(all) != 0 {
		t.Errorf("history %+v, %v; want none", all, err)
	}
	for _, n := range []uint64{0, 1} {
		if r, err := s.Revision(t.Context(), n); !errors.Is(err, lb.ErrNotFound) {
			t.Errorf("revision %d: %+v, %v; want lb.ErrNotFound", n, r, err)
		}
	}
}

// history are revisions as they were appended: the first has number 1.
type history []store.Revision

// add appends an intent to a store.
func (h *history) add(t testing.TB, s store.Store, i intent.Intent) {
	t.Helper()
	n := uint64(len(*h)) + 1
	r := store.Revision{Intent: i, Entry: store.Entry{
		Number: n, Actor: "test", Reason: fmt.Sprintf("the %d.", n), Origin: fmt.Sprintf("port %d", n), Time: time.Unix(int64(n), 0).UTC(),
	}}
	if got, err := s.Append(t.Context(), n-1, r); err != nil || got != n {
		t.Fatalf("append %d: %d, %v", n, got, err)
	}
	*h = append(*h, r)
}

// check compares all that is kept.
func (h history) check(t testing.TB, s store.Store) {
	t.Helper()
	latest, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, h[len(h)-1], latest)
	entries, err := s.History(t.Context(), 0)
	if err != nil || len(entries) < min(len(h), store.Kept) {
		t.Fatalf("%d entries, %v; want %d", len(entries), err, min(len(h), store.Kept))
	}
	for k, e := range entries {
		want := h[len(h)-1-k]
		if e != want.Entry {
			t.Fatalf("entry %d of the history: %+v, want %+v", k, e, want.Entry)
		}
		got, err := s.Revision(t.Context(), e.Number)
		if err != nil {
			t.Fatal(err)
		}
		same(t, want, got)
	}
}

func same(t testing.TB, want, got store.Revision) {
	t.Helper()
	if want.Entry != got.Entry || !want.Intent.Equal(got.Intent) {
		t.Fatalf("%+v, want %+v: %s", got.Entry, want.Entry, cmp.Diff(wire.Config(want.Intent), wire.Config(got.Intent)))
	}
}

// appends: whatever came before, what is read is what was appended.
func appends(t *testing.T, open Opener) {
	s, reopen := open(t)
	four := Intent(4)
	turned := four
	turned.Services = slices.Clone(four.Services)
	slices.Reverse(turned.Services)
	renamed := turned
	renamed.Services = slices.Clone(turned.Services[1:])
	other := *renamed.Services[0]
	other.Name = "renamed"
	renamed.Services[0] = &other
	attached := renamed.WithInterface(intent.Interface{Name: "eth0", Mode: lb.Auto})
	var h history
	for n, i := range []intent.Intent{Intent(2), four, turned, renamed, attached, intent.Default(), four, intent.Default(), renamed} {
		if n%3 == 2 {
			s = reopen()
		}
		h.add(t, s, i)
		h.check(t, s)
	}
	two, err := s.History(t.Context(), 2)
	if err != nil || len(two) != 2 || two[0].Number != uint64(len(h)) {
		t.Errorf("the last two entries: %+v, %v", two, err)
	}
}

// severalAtOnce: revisions that are appended together are kept one by one, also in the next process.
func severalAtOnce(t *testing.T, open Opener) {
	s, reopen := open(t)
	var h history
	h.add(t, s, Intent(1))
	for n := range 3 {
		r := store.Revision{Intent: Intent(4 - n), Entry: store.Entry{Number: uint64(n + 2), Actor: fmt.Sprint(n), Time: time.Unix(int64(n), 0).UTC()}}
		h = append(h, r)
	}
	if n, err := s.Append(t.Context(), 1, h[1:]...); err != nil || n != 4 {
		t.Fatalf("%d, %v", n, err)
	}
	h.check(t, s)
	s = reopen()
	h.check(t, s)
	if n, err := s.Append(t.Context(), 4); err != nil || n != 4 {
		t.Errorf("none: %d, %v", n, err)
	}
}

// staleAppend: who does not know the latest revision changes nothing.
func staleAppend(t *testing.T, open Opener) {
	s, _ := open(t)
	var h history
	h.add(t, s, Intent(1))
	h.add(t, s, Intent(2))
	for _, after := range []uint64{0, 1, 3} {
		if n, err := s.Append(t.Context(), after, store.Revision{Intent: Intent(3)}); !errors.Is(err, lb.ErrConflict) {
			t.Errorf("append after %d: %d, %v; want lb.ErrConflict", after, n, err)
		}
	}
	h.check(t, s)
}

// kept: the last store.Kept revisions can be read, in a store that has seen more.
func kept(t *testing.T, open Opener) {
	s, reopen := open(t)
	var h history
	i := Intent(5)
	for n := range store.Kept + 20 {
		i, _ = i.WithService(service(n%5, 1+n%3))
		h.add(t, s, i)
	}
	h.check(t, s)
	h.check(t, reopen())
}

// writers: of several that append after one revision, one succeeds.
func writers(t *testing.T, open Opener) {
	s, _ := open(t)
	var won atomic.Int32
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			switch _, err := s.Append(t.Context(), 0, store.Revision{Intent: Intent(n)}); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, lb.ErrConflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if r, err := s.Latest(t.Context()); err != nil || r.Number != 1 || won.Load() != 1 {
		t.Errorf("%d writers succeeded, the latest revision is %d, %v", won.Load(), r.Number, err)
	}
}

// anyEdits: after any edits of single services every revision reads as it was.
func anyEdits(r *rapid.T, t *testing.T, open Opener) {
	s, reopen := open(t)
	var h history
	i := intent.Default()
	for range rapid.IntRange(1, 8).Draw(r, "edits") {
		i = anyPool(r, i)
		k := rapid.IntRange(0, 3).Draw(r, "service")
		if less, err := i.WithoutService(fmt.Sprintf("s%d", k)); err == nil && rapid.Bool().Draw(r, "remove") {
			i = less
		} else {
			s := service(k, rapid.IntRange(0, 2).Draw(r, "replicas"))
			if len(i.Pools) > 0 && rapid.Bool().Draw(r, "uses a pool") {
				s.Pool = rapid.SampledFrom(i.Pools).Draw(r, "used").Name
				s.Tracking, s.Idle = lb.TrackAlways, time.Minute // which lets services share a replica in mode nat
			}
			i, _ = i.WithService(s)
		}
		linked, err := i.Linked()
		if err != nil {
			r.Fatal(err)
		}
		i = linked
		if of := service(rapid.IntRange(0, 3).Draw(r, "by hand"), 1); rapid.Bool().Draw(r, "override") {
			i.Overrides = maps.Clone(i.Overrides)
			if i.Overrides == nil {
				i.Overrides = intent.Overrides{}
			}
			i.Overrides[intent.Target{Service: of.Name, Replica: of.Replicas[0].Address}] = anyOverride(r)
		}
		i = i.Keeping(i.Overrides) // if there is such a replica
		h.add(t, s, i)
	}
	if rapid.Bool().Draw(r, "reopen") {
		s = reopen()
	}
	h.check(t, s)
}

// anyPool returns the intent with some of two pools, of which those that are used stay.
func anyPool(r *rapid.T, i intent.Intent) intent.Intent {
	p := intent.Pool{Name: rapid.SampledFrom([]string{"a", "b"}).Draw(r, "pool")}
	if less, err := i.WithoutPool(p.Name); err == nil && rapid.Bool().Draw(r, "remove the pool") {
		return less
	}
	for n := range rapid.IntRange(0, 3).Draw(r, "size") {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(n)}), rapid.SampledFrom([]uint16{0, 80}).Draw(r, "port"))
		p.Replicas = append(p.Replicas, intent.Replica{Replica: lb.Replica{Address: a, Weight: 1}})
	}
	i, _ = i.WithPool(p)
	return i
}

func anyOverride(r *rapid.T) intent.Override {
	o := intent.Override{SetsState: true, State: lb.Draining, DrainUntil: time.Unix(rapid.Int64Range(0, 1e9).Draw(r, "until"), 0).UTC(),
		Note: rapid.SampledFrom([]string{"", "disk"}).Draw(r, "note"), Actor: "root", Since: time.Unix(1, 0).UTC()}
	if rapid.Bool().Draw(r, "weight") {
		o = intent.Override{Weight: rapid.Uint16Min(1).Draw(r, "by hand")}
	}
	return o
}
