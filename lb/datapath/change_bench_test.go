package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
	"lbctl/lb/testns"

	"github.com/vishvananda/netlink"
)

// hundred returns a Maglev service with 65,537 slots and 100 replicas, and with one less.
func hundred(t lb.Tracking) (full, less lb.Service) {
	full = lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Scheduler: lb.Maglev, Tracking: t}
	for i := range byte(100) {
		full.Replicas = append(full.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, i + 1}), 80)})
	}
	full = full.WithDefaults()
	less = full.Clone()
	less.Replicas = less.Replicas[1:]
	return full, less
}

// BenchmarkSwitch replaces a Maglev table of 65,537 slots and 100 replicas by one of
// 99: the time from the call to the switch, after which packets see the new table.
func BenchmarkSwitch(b *testing.B) {
	for _, tracking := range []lb.Tracking{lb.Stateless, lb.TrackChanges} {
		b.Run(tracking.String(), func(b *testing.B) {
			inNamespace(b)
			testns.Veth(b, "up", "10.1.0.254/24")
			d := open(b, Options{})
			full, less := hundred(tracking)
			if err := d.SetService(b.Context(), full); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				if err := d.SetService(b.Context(), []lb.Service{less, full}[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoad loads services that track flows, all behind a gateway, into empty tables: 1,000 of 100
// replicas each and 10,000 of 10.
func BenchmarkLoad(b *testing.B) {
	for _, n := range [][2]int{{1000, 100}, {10_000, 10}} {
		b.Run(fmt.Sprintf("%dx%d", n[0], n[1]), func(b *testing.B) { load(b, many(n[0], n[1])) })
	}
}

func load(b *testing.B, services []lb.Service) {
	d := large(b)
	for b.Loop() {
		setAll(b, d, services)
		b.StopTimer()
		for _, s := range services {
			if err := d.RemoveService(b.Context(), s.VIP); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
}

// large returns a datapath with room for many services, whose replicas are behind a gateway.
func large(b *testing.B) *Datapath {
	inNamespace(b)
	l := testns.Veth(b, "up", "10.255.0.1/24")
	testns.Neighbour(b, l, "10.255.0.9")
	route := netlink.Route{Dst: &net.IPNet{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, Gw: net.IPv4(10, 255, 0, 9)}
	if err := netlink.RouteAdd(&route); err != nil {
		b.Fatal(err)
	}
	return open(b, Options{Limits: lb.Limits{Services: 1 << 14, Replicas: 1 << 17, Slots: 1 << 20}})
}

func setAll(b *testing.B, d *Datapath, services []lb.Service) {
	for _, s := range services {
		if err := d.SetService(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

// many returns services with replicas of their own.
func many(services, replicas int) (all []lb.Service) {
	for i := range services {
		s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 80), Protocol: 6}, Tracking: lb.TrackChanges}
		for r := range replicas {
			n := i*replicas + r
			a := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
			s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(a, 80)})
		}
		all = append(all, s.WithDefaults())
	}
	return all
}

// crowded returns a datapath with a Maglev table in transition of 65,537 slots, and with tables of
// records of the default size that are half full.
func crowded(b *testing.B) *Datapath {
	inNamespace(b)
	testns.Veth(b, "up", "10.1.0.254/24")
	d := open(b, Options{manualClock: true})
	full, less := hundred(lb.TrackChanges)
	for _, s := range []lb.Service{full, less} {
		if err := d.SetService(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
	e := d.registry.services[full.VIP]
	for _, table := range []tables.Table[bpf.LbRecords]{d.registry.tables.Established, d.registry.tables.HalfOpen} {
		for i := range table.Rows {
			for entry := range bpf.RecordEntries / 2 {
				hash := uint32(i*bpf.RecordEntries+entry) * 0x9e3779b9
				table.Rows[i].Entry[entry] = uint64(hash)<<32 | uint64(d.registry.tables.Slot(e.row.Offset+hash%e.row.Size).Owner())
			}
		}
	}
	return d
}

// BenchmarkSweep makes 655,360 flows and 65,537 slots a step older.
func BenchmarkSweep(b *testing.B) {
	d := crowded(b)
	if err := d.registry.grace.Wait(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		d.registry.tables.Records(func(p tables.Record, r bpf.Record) { p.Swap(r, r.WithAge(0)) })
		if err := d.sweep(10 * time.Minute / lb.IdleSteps); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFlows counts the same.
func BenchmarkFlows(b *testing.B) {
	d := crowded(b)
	for b.Loop() {
		if _, err := d.Flows(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCounters reads the counters of 10,000 services with 10 replicas each.
func BenchmarkCounters(b *testing.B) {
	d := large(b)
	setAll(b, d, many(10_000, 10))
	for b.Loop() {
		if _, err := d.Counters(); err != nil {
			b.Fatal(err)
		}
	}
}
