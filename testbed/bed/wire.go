package bed

import (
	"errors"
	"fmt"
	"net/netip"

	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// Wire joins two ends as Ethernet does: what one sends arrives at the other as a bare frame. A veth alone hands over
// the sender's own packet, with its checksum not yet computed and its memory shared with the sender. A NIC never
// delivers such a packet: a kernel forwards it more cheaply, and XDP has to copy it first. So a wire is two veths and
// a namespace between them in which XDP passes every frame on, byte for byte. The copy is made there, at the
// sender's cost, whatever balances at the other end.
//
// Both ends merge what they receive (GRO) and leave neither segmentation nor checksums to the wire.
// Slow is how many times each frame waits for a read of the kernel's clock, some 20 ns each.
func (b *Bed) Wire(a, c netns.End, slow int) (netns.Link, netns.Link, error) {
	first, near, errA := b.lead(a)
	last, far, errB := b.lead(c)
	if err := errors.Join(errA, errB); err != nil {
		return netns.Link{}, netns.Link{}, err
	}
	return first, last, b.join(near, far, slow)
}

// LongWire is two wires in a row with nothing in between. A wire of the testbed takes CPU time, a real one does not:
// so a path that is compared with one over two wires has two wires as well.
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
	return first, last, errors.Join(b.join(near, left, 0), b.join(right, far, 0))
}

// join joins two leads, in both directions.
func (b *Bed) join(near, far netns.Link, slow int) error {
	patch, err := b.patch(slow)
	if err != nil {
		return err
	}
	return errors.Join(b.pass(patch, near, far), b.pass(patch, far, near))
}

// wires is the namespace in which all wires are joined.
type wires struct {
	namespace *netns.Namespace
	leads     int
	// patches are by their slowness.
	patches map[int]*xdp.Patch
}

// patch returns the program that joins leads, made when it is first asked for.
func (b *Bed) patch(slow int) (*xdp.Patch, error) {
	if p := b.wires.patches[slow]; p != nil {
		return p, nil
	}
	p, err := xdp.NewPatch(slow)
	if err != nil {
		return nil, err
	}
	b.Closing(p)
	b.wires.patches[slow] = p
	return p, nil
}

// lead joins an end to the namespace in which the wires are.
func (b *Bed) lead(e netns.End) (here, there netns.Link, err error) {
	if b.wires.namespace == nil {
		if b.wires.namespace, err = b.Router("wires"); err != nil {
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

// pass sends what comes in by one lead out by another, until the bed is closed.
func (b *Bed) pass(p *xdp.Patch, from, to netns.Link) error {
	attached, err := p.Pass(from, to)
	if err != nil {
		return err
	}
	b.Closing(attached)
	return nil
}

// Join gives the two ends of a link addresses of one network, and each the other's as a fixed neighbour:
// no ARP and no neighbour discovery is needed.
func Join(a, b netns.Link, here, there netip.Prefix) error {
	return errors.Join(
		a.AddAddress(here), b.AddAddress(there),
		a.AddNeighbour(there.Addr(), b.MAC), b.AddNeighbour(here.Addr(), a.MAC),
	)
}
