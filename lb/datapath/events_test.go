package datapath

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lbctl/lb"
	"lbctl/lb/testns"
)

// A link that comes, is renamed and goes, and a replica's next hop, are told; and the stream ends with the datapath.
func TestEvents(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	await := func(what string, is func(lb.Event) bool) {
		t.Helper()
		for timeout := time.After(10 * time.Second); ; {
			select {
			case e := <-d.Events():
				if is(e) {
					return
				}
			case <-timeout:
				t.Fatalf("%s is not told in 10 s", what)
			}
		}
	}
	l := testns.Veth(t, "late", "10.1.0.1/24")
	await("a link", func(e lb.Event) bool {
		return e.Kind == lb.LinkChanged && e.Interface == "late" && e.Index == l.Attrs().Index
	})
	testns.Neighbour(t, l, "10.1.0.2")
	await("a next hop", func(e lb.Event) bool {
		return e.Kind == lb.NextHopChanged && e.Replica.String() == "10.1.0.2:80" && e.Resolved && e.Index == l.Attrs().Index
	})
	if err := netlink.LinkSetName(l, "renamed"); err != nil {
		t.Fatal(err)
	}
	await("its name", func(e lb.Event) bool { return e.Kind == lb.LinkChanged && e.Interface == "renamed" })
	if err := netlink.LinkDel(l); err != nil {
		t.Fatal(err)
	}
	await("its end", func(e lb.Event) bool { return e.Kind == lb.LinkGone && e.Interface == "renamed" })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range d.Events() {
	}
}

// A reader that does not read loses events, and is told so.
func TestEventsAreNotWaitedFor(t *testing.T) {
	e := &events{to: make(chan lb.Event, 3)}
	for n := range 10 {
		e.tell(lb.Event{Kind: lb.LinkChanged, Index: n})
	}
	for n := range 3 {
		if got := <-e.to; got.Index != n {
			t.Errorf("event %d is %+v", n, got)
		}
	}
	e.tell(lb.Event{Kind: lb.LinkGone})
	if first, second := <-e.to, <-e.to; first.Kind != lb.EventsLost || second.Kind != lb.LinkGone {
		t.Errorf("told %+v and %+v", first, second)
	}
}
