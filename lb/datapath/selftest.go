package datapath

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/nexthop"
	"lbctl/lb/oracle"
	"lbctl/lb/tables"
	"lbctl/lb/xdp"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
)

// selfTest tries a new program before it replaces another one under links. With small tables of its own, it
// must do the same as the reference with some packets. There is no test where nothing is attached or the
// program is the same.
func (d *Datapath) selfTest() error {
	known, err := d.links.hook.IsPinned(d.objects.Lb)
	if err != nil || known || len(d.links.hook.Links) == 0 {
		return err
	}
	r, err := d.private()
	if err != nil {
		return fmt.Errorf("prepare the self-test of the new program: %w", err)
	}
	defer r.Close()
	if err := r.tryGolden(); err != nil {
		return fmt.Errorf("self-test of the new program, the old one goes on: %w", err)
	}
	d.options.Logger.Info("the new program has passed its self-test")
	return nil
}

// private returns a datapath with the same program and tables of its own that are not pinned.
func (d *Datapath) private() (*Datapath, error) {
	o := d.options
	o.Limits, o.manualClock = lb.Limits{Services: 8, Replicas: 32, Slots: 64, Flows: 1 << 10, SourceRanges: 16}, true
	r := newDatapath(o)
	r.secret, r.hops.made = d.secret, oneHop{}
	spec, err := r.spec()
	if err != nil {
		return nil, err
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	if err := xdp.Load(spec, &r.objects, nil); err != nil {
		return nil, fmt.Errorf("load the datapath: %w", err)
	}
	if err := r.mapTables(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// tryGolden gives the golden packets to the program and to the reference.
func (d *Datapath) tryGolden() error {
	reference := oracle.New(oracle.Config{Limits: d.options.Limits, Key: d.options.ToeplitzKey, NoService: d.options.NoService, Routes: oneHop{}})
	for _, s := range goldenPackets() {
		for _, service := range s.services {
			if err := reference.SetService(context.Background(), service); err != nil {
				return fmt.Errorf("%s: reference: %w", s.name, err)
			}
			if err := d.SetService(context.Background(), service); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		got, err := d.run(s.frame)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		want := reference.Process(loopbackIndex, slices.Clone(s.frame))
		if got.Action != want.Action || want.Action != oracle.Drop && !slices.Equal(got.Frame, want.Frame) {
			return fmt.Errorf("%s: %v of % x, want %v (%v) of % x", s.name, got.Action, got.Frame, want.Action, want.Reason, want.Frame)
		}
	}
	return nil
}

// run gives the program one frame, which comes in on the interface of loopback.
func (d *Datapath) run(frame []byte) (oracle.Verdict, error) {
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	verdict, err := d.objects.Lb.Run(&run)
	if err != nil {
		return oracle.Verdict{}, fmt.Errorf("run the program: %w", err)
	}
	action, ok := actions()[verdict]
	if !ok {
		return oracle.Verdict{}, fmt.Errorf("verdict %d is none of XDP", verdict)
	}
	return oracle.Verdict{Action: action, Frame: run.DataOut}, nil
}

// actions are enum xdp_action of linux/bpf.h.
func actions() map[uint32]oracle.Action {
	return map[uint32]oracle.Action{1: oracle.Drop, 2: oracle.Pass, 3: oracle.Transmit, 4: oracle.Redirect}
}

// oneHop is a network in which every address is one hop away, by loopback.
type oneHop struct{}

// loopbackIndex is the index of loopback in every network namespace (net/core/dev.c gives it the first).
const loopbackIndex = 1

func (oneHop) Route(a netip.Addr) (oracle.Route, bool) {
	r := oracle.Route{
		Interface: "lo", Index: loopbackIndex, MTU: 1500, Source: lb.MAC{2, 0, 0, 0, 0, 1}, Neighbour: lb.MAC{2, 0, 0, 0, 0, 2},
		Preferred: netip.MustParseAddr("10.0.0.1"),
	}
	if a.Is6() {
		r.Preferred = netip.MustParseAddr("2001:db8::1")
	}
	return r, true
}

// Resolve implements nexthop.Resolver.
func (o oneHop) Resolve(a netip.Addr) (tables.Hop, nexthop.Neighbour) {
	r, _ := o.Route(a)
	return tables.Hop{Tunnel: bpf.Address(r.Preferred), LbHop: bpf.LbHop{
		State: uint8(bpf.LbHopStateHOP_RESOLVED), Ifindex: loopbackIndex, Mtu: uint16(r.MTU),
		Source: r.Source, Destination: r.Neighbour,
	}}, nexthop.Neighbour{}
}

// Prepare implements nexthop.Resolver.
func (oneHop) Prepare([]netip.Addr) {}

// Differing and Unfit implement nexthop.Resolver.
func (oneHop) Differing(netip.Addr) string              { return "" }
func (oneHop) Unfit([]netip.Addr) map[netip.Addr]string { return nil }

// golden is a packet of the self-test, and the services to set before it.
type golden struct {
	name     string
	services []lb.Service
	frame    []byte
}

// goldenPackets returns the packets of the self-test in their order.
func goldenPackets() []golden {
	v4, v6 := fourBehind("192.0.2.1:80", "10.0.0.%d:8080", lb.NAT), fourBehind("[2001:db8:1::1]:80", "[2001:db8::%d]:8080", lb.NAT)
	dsr, ipip := fourBehind("192.0.2.2:80", "10.0.0.%d:80", lb.DSR), fourBehind("192.0.2.3:80", "[2001:db8::%d]:80", lb.IPIP)
	less := v4.Clone()
	less.Replicas[2].State, less.Replicas[3].State = lb.Draining, lb.Down
	odd := v6.Clone()
	odd.Replicas, odd.TableSize, odd.Hash = odd.Replicas[1:], 3, lb.ToeplitzHash
	all := []golden{
		{name: "a packet to nobody", frame: toVIP("192.0.2.1:80", 1, false)},
		{name: "services", services: []lb.Service{v4, v6, dsr, ipip}, frame: make([]byte, 14)},
		{name: "a packet cut short", frame: toVIP("192.0.2.1:80", 1, false)[:30]},
		{name: "an echo request", frame: echo()},
		{name: "another protocol", frame: tweak(toVIP("192.0.2.9:80", 1, false), 23, 47)}, // to a VIP the FIB of this host would decide
		{name: "ttl 1", frame: tweak(toVIP("192.0.2.1:80", 1, false), 22, 1)},
	}
	add := func(what string, services ...lb.Service) {
		all = append(all, golden{name: what, services: services, frame: toVIP("198.51.100.99:80", 1, false)})
		for _, vip := range []string{"192.0.2.1:80", "[2001:db8:1::1]:80", "192.0.2.2:80", "192.0.2.3:80"} {
			for port := range uint16(16) {
				name := fmt.Sprintf("%s, to %s from port %d", what, vip, port+1)
				all = append(all, golden{name: name, frame: toVIP(vip, port+1, port%4 == 1)})
			}
		}
	}
	add("settled")
	add("slots in transition, a service rehashed", less, odd)
	add("once more")
	return all
}

// fourBehind returns a service with four replicas.
func fourBehind(vip, replica string, mode lb.Mode) lb.Service {
	s := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort(vip), Protocol: packet.TCP}, Scheduler: lb.Maglev, TableSize: 7, Mode: mode, Tracking: lb.TrackChanges}
	for i := range 4 {
		s.Replicas = append(s.Replicas, lb.Replica{Address: netip.MustParseAddrPort(fmt.Sprintf(replica, i+2))})
	}
	return s.WithDefaults()
}

// toVIP returns a frame of a client to a VIP.
func toVIP(vip string, port uint16, syn bool) []byte {
	to, client := netip.MustParseAddrPort(vip), netip.MustParseAddr("198.51.100.1")
	if to.Addr().Is6() {
		client = netip.MustParseAddr("2001:db8:2::1")
	}
	frame, err := oracle.FrameOf(lb.Probe{SYN: syn, Flow: packet.Flow{Source: netip.AddrPortFrom(client, port), Destination: to, Protocol: packet.TCP}})
	if err != nil {
		panic(err) // the flow is one
	}
	return frame
}

// tweak sets one byte of a frame.
func tweak(frame []byte, at int, to byte) []byte {
	frame[at] = to
	return frame
}

// echo returns an ICMP echo request to a VIP: the type and its checksum take the place of the ports.
func echo() []byte {
	frame := slices.Clone(toVIP("192.0.2.1:80", 1, false))
	frame[23] = 1
	icmp := frame[34:]
	clear(icmp)
	icmp[0] = 8
	binary.BigEndian.PutUint16(icmp[2:], packet.Checksum(icmp))
	return frame
}
