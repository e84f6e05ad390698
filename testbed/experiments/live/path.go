package live

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf/asm"

	"lbctl/control/api"
	"lbctl/rss/packet"
	"lbctl/testbed/bed"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// path is the path of frames through a namespace in the middle:
//
//	source --veth-- balancer --veth-- sink
//
// The program in the middle forwards the frames of the one link to the other.
type path struct {
	name     string
	balancer *netns.Namespace
	// source is the generator's end; in and out are those of the balancer.
	source, in, out netns.Link
	sink            counter
}

// newPath makes a path with nothing in the middle.
func newPath(b *bed.Bed, name string) (*path, error) {
	p := &path{name: name}
	source, errSource := b.Router(name + "-source")
	balancer, errBalancer := b.Router(name + "-balancer")
	sink, errSink := b.Router(name + "-sink")
	if err := errors.Join(errSource, errBalancer, errSink); err != nil {
		return nil, err
	}
	p.balancer = balancer
	var end netns.Link
	var err error
	if p.source, p.in, err = netns.Veth(netns.End{Namespace: source, Name: "eth0"}, netns.End{Namespace: balancer, Name: "in"}, 0); err != nil {
		return nil, err
	}
	if p.out, end, err = netns.Veth(netns.End{Namespace: balancer, Name: "out"}, netns.End{Namespace: sink, Name: "eth0"}, 0); err != nil {
		return nil, err
	}
	receive, err := xdp.Receive(p.source)
	if err != nil {
		return nil, err
	}
	b.Closing(receive)
	return p, errors.Join(p.address(end), p.count(b, end))
}

// address gives the balancer a route to the replicas, which are all behind the link to the sink.
func (p *path) address(end netns.Link) error {
	all := []error{p.out.AddAddress(gateway4()), p.out.AddAddress(gateway6())}
	for _, six := range []bool{false, true} {
		for i := range replicas {
			all = append(all, p.out.AddNeighbour(replica(six, i).Addr(), end.MAC))
		}
	}
	return errors.Join(all...)
}

// count attaches the program that counts and drops at the sink's end.
func (p *path) count(b *bed.Bed, end netns.Link) (err error) {
	if p.sink, err = newCounter(); err != nil {
		return err
	}
	b.Closing(p.sink)
	return attach(b, end, "swallow", swallow(p.sink))
}

// redirect puts a redirect program in the middle.
func (p *path) redirect(b *bed.Bed, slow int) error {
	return attach(b, p.in, "redirect", xdp.Redirect(p.out.Index, slow))
}

// attach attaches a program to a link until the bed is closed.
func attach(b *bed.Bed, to netns.Link, name string, code asm.Instructions) error {
	attached, err := xdp.Attach(to, name, code)
	if err != nil {
		return err
	}
	b.Closing(attached)
	return nil
}

// arriveWithin is how long the last frames of a round may be in flight.
const arriveWithin = 500 * time.Millisecond

// round is what was measured once on one path.
type round struct {
	sent, received uint64
	// took is the CPU time of generator, balancer and sink together.
	took time.Duration
}

// nanoseconds is the CPU time for each frame that arrived.
func (r round) nanoseconds() float64 { return float64(r.took) / float64(max(r.received, 1)) }

// rate is in million packets that arrived, a second.
func (r round) rate() float64 { return 1e3 / r.nanoseconds() }

// run sends frames over the path. Frames that do not arrive are no error.
func (p *path) run(ctx context.Context, g *generator) (r round, err error) {
	before, err := p.sink.read()
	if err != nil {
		return round{}, err
	}
	if r.sent, r.took, err = g.send(p.source); err != nil {
		return round{}, fmt.Errorf("%s: %w", p.name, err)
	}
	errMissing := errors.New("frames are missing")
	err = helper.Until(ctx, arriveWithin, "the last frames", func() error {
		after, err := p.sink.read()
		r.received = after - before
		if err == nil && r.received < r.sent {
			return errMissing
		}
		return err
	}, ctx.Err)
	if err != nil && !(errors.Is(err, errMissing) && ctx.Err() == nil) {
		return round{}, err
	}
	return r, nil
}

// The addresses on the path: all of documentation networks (RFC 5737, RFC 3849) or private.
func gateway4() netip.Prefix { return netip.MustParsePrefix("10.1.0.254/24") }
func gateway6() netip.Prefix { return netip.MustParsePrefix("2001:db8:2::fe/64") }

// replicas is their number.
const replicas = 4

// replica is the address of one, from 0.
func replica(six bool, i int) netip.AddrPort {
	a := netip.AddrFrom4([4]byte{10, 1, 0, byte(1 + i)})
	if six {
		a = netip.MustParseAddr(fmt.Sprintf("2001:db8:2::%d", 1+i))
	}
	return netip.AddrPortFrom(a, 8080)
}

// scenario is a stream of frames.
type scenario struct {
	name string
	six  bool
	// flows is a power of two, at most 1<<16.
	flows int
}

func scenarios() []scenario {
	return []scenario{
		{name: "tcp-v4-hit", flows: 1},
		{name: "tcp-v4-diverse", flows: 1 << 16},
		{name: "tcp-v6-hit", six: true, flows: 1},
	}
}

// vip is where all frames go.
func vip(six bool) netip.AddrPort {
	if six {
		return netip.MustParseAddrPort("[2001:db8::1]:80")
	}
	return netip.MustParseAddrPort("192.0.2.1:80")
}

// services is what the load balancer is given.
func services() []api.Service {
	list := []api.Service{{Name: "four"}, {Name: "six"}}
	for i := range list {
		six := i == 1
		list[i].VIP = vip(six).String()
		for k := range replicas {
			list[i].Replicas = append(list[i].Replicas, api.Replica{Address: replica(six, k).String()})
		}
	}
	return list
}

// frames are those of the scenario: packets of established TCP connections without payload.
func (s scenario) frames() [][]byte {
	all := make([][]byte, s.flows)
	for i := range all {
		all[i] = packet.Frame{
			Source: packet.MAC{2, 0, 0, 0, 0, 1}, Destination: packet.MAC{2, 0, 0, 0, 0, 2},
			Flow: packet.Flow{Source: s.client(i), Destination: vip(s.six), Protocol: packet.TCP},
		}.Marshal()
	}
	return all
}

// client is the source of flow i: 256 ports of 256 addresses.
func (s scenario) client(i int) netip.AddrPort {
	address := netip.AddrFrom4([4]byte{100, 64, byte(i >> 8), 1})
	if s.six {
		b := netip.MustParseAddr("2001:db8:1::1").As16()
		b[13] = byte(i >> 8)
		address = netip.AddrFrom16(b)
	}
	return netip.AddrPortFrom(address, uint16(1024+i&0xff))
}
