package wires

import (
	"errors"
	"fmt"
	"net/netip"

	"lbctl/testbed/bench/xdp"
	"lbctl/testbed/netns"
)

// Wire joins two ends as Ethernet does: what one sends comes in at the other as a bare frame. A veth alone hands over
// the sender's own packet, its checksum not yet computed and its memory shared with the
// sender: for a kernel that forwards it that is a present no NIC makes, and XDP has to copy it first. So
// there are two veths, and between them a namespace in which XDP sends on whatever comes, byte for byte.
// The copy is made there, by whoever sends, whatever balances at the other end.
//
// Both ends merge what they receive (GRO), and leave neither segmentation nor checksums to the wire.
// Slow is how often each frame waits for the kernel's clock on its way, some 20 ns each.
func (b *Bed) Wire(a, c netns.End, slow int) (netns.Link, netns.Link, error) {
	first, near, errA := b.lead(a)
	last, far, errB := b.lead(c)
	if err := errors.Join(errA, errB); err != nil {
		return netns.Link{}, netns.Link{}, err
	}
	return first, last, b.patch(near, far, slow)
}

// LongWire is two wires in a row with nothing in between. A wire takes CPU time here, and none where it is one: a way
// that is to be compared with one over two wires has to have as many.
func (b *Bed) LongWire(a, c netns.End) (netns.Link, netns.Link, error) {
	first, near, errA := b.lead(a)
	last, far, errB := b.lead(c)
	if err := errors.Join(errA, errB); err != nil {
		return netns.Link{}, netns.Link{}, err
	}
	left, right, err := netns.Veth(b.end(), b.end(), 0)
	if err != nil {
		return netns.Link{}, netns.Link{}, err
	}
	return first, last, errors.Join(b.patch(near, left, 0), b.patch(right, far, 0))
}

// patch joins two leads, in both directions.
func (b *Bed) patch(near, far netns.Link, slow int) error {
	exchange, err := b.exchange(slow)
	if err != nil {
		return err
	}
	return errors.Join(b.pass(exchange, near, far), b.pass(exchange, far, near))
}

// wires is where the leads of all wires are.
type wires struct {
	namespace *netns.Namespace
	leads     int
	// exchanges are by slowness.
	exchanges map[int]*xdp.Exchange
}

// exchange returns what joins the leads, made when it is first asked for.
func (b *Bed) exchange(slow int) (*xdp.Exchange, error) {
	if e := b.wires.exchanges[slow]; e != nil {
		return e, nil
	}
	e, err := xdp.NewExchange(slow)
	if err != nil {
		return nil, err
	}
	b.Closing(e)
	b.wires.exchanges[slow] = e
	return e, nil
}

// lead joins an end to the namespace in which the wires are.
func (b *Bed) lead(e netns.End) (here, there netns.Link, err error) {
	if b.wires.namespace == nil {
		if b.wires.namespace, err = b.Namespace("wires"); err != nil {
			return here, there, err
		}
	}
	here, there, err = netns.Veth(e, b.end(), 0)
	if err != nil {
		return here, there, err
	}
	return here, there, here.Merge()
}

// end names another end in the namespace of the wires.
func (b *Bed) end() netns.End {
	b.wires.leads++
	return netns.End{Namespace: b.wires.namespace, Name: fmt.Sprintf("lead%d", b.wires.leads)}
}

// pass sends on what comes in by a lead to another, until the bed is closed.
func (b *Bed) pass(e *xdp.Exchange, from, to netns.Link) error {
	attached, err := e.Pass(from, to)
	if err != nil {
		return err
	}
	b.Closing(attached)
	return nil
}

// Join gives the two ends of a link addresses of one network, and makes them known to each other,
// so that nothing has to be asked for.
func Join(a, b netns.Link, here, there netip.Prefix) error {
	return errors.Join(
		a.AddAddress(here), b.AddAddress(there),
		a.AddNeighbour(there.Addr(), b.MAC), b.AddNeighbour(here.Addr(), a.MAC),
	)
}
