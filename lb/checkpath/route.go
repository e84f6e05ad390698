package checkpath

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb/nexthop"

	"golang.org/x/sys/unix"
)

// route is how packets get to a replica.
type route struct {
	// link is the index of the interface, and name its name.
	link int
	name string
	// source is our address towards it, invalid if there is none.
	source netip.Addr
	mtu    int
	err    error
}

// lookUp returns the route to an address.
func (p *Path) lookUp(a netip.Addr) (route, error) {
	r, known := p.routes[a]
	if !known {
		r = p.find(a)
		p.routes[a] = r
	}
	return r, r.err
}

// find asks the kernel for a route, as of packets that come in from clients.
func (p *Path) find(a netip.Addr) route {
	network := p.state
	answers := network.Routes(a)
	if len(answers) == 0 {
		return route{err: fmt.Errorf("there is no route to %v", a)}
	}
	first := answers[0].Route
	if why := network.Unfit([]netip.Addr{a})[a]; why != "" {
		return route{err: fmt.Errorf("%v is %s", a, why)}
	}
	if first.Type != unix.RTN_UNICAST {
		return route{err: fmt.Errorf("there is no route to %v", a)}
	}
	device := network.Link(first.LinkIndex)
	if device == nil {
		return route{err: fmt.Errorf("the interface towards %v is gone", a)}
	}
	r := route{link: first.LinkIndex, name: device.Name, mtu: device.MTU}
	if first.MTU > 0 {
		r.mtu = min(r.mtu, first.MTU)
	}
	if len(device.HardwareAddr) != 6 {
		r.err = fmt.Errorf("%s, the interface towards %v, is not Ethernet", r.name, a)
	}
	if source, ok := netip.AddrFromSlice(first.Src); ok {
		r.source = source.Unmap()
	}
	return r
}

// expect says on which interfaces clients' packets come in. Rules may have routes depend on that.
func (p *Path) expect(attached []int) {
	if !slices.Equal(attached, p.attached) {
		p.attached = attached
		p.forget(nexthop.Everything())
	}
}

// Changed implements nexthop.Follower.
func (p *Path) Changed() {}

// Link implements nexthop.Follower: the programs on an interface go with it.
func (p *Path) Link(index int, _ string, gone bool) {
	if !gone {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, attach := range directions() {
		_ = p.release(place{index, attach}) // the kernel has detached it
	}
	p.forget(nexthop.Everything()) // its index may be another's before the change is told
}

// Refresh implements nexthop.Follower.
func (p *Path) Refresh(c nexthop.Changes) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(c)
}

// forget forgets the routes that a change concerns, and what was learnt of links and rules.
func (p *Path) forget(c nexthop.Changes) {
	if c.OnlyNeighbours() {
		return // the kernel knows them
	}
	p.state = p.network.Gather(p.attached...)
	for a := range p.routes {
		if c.Routes(a) {
			delete(p.routes, a)
		}
	}
}

var errNoAddress = errors.New("this host has no address towards it")
