package observe

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/cilium/ebpf"

	"lbctl/bpf"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// Flows returns the flows since the start or the last Reset, in the order of
// source and destination.
func (o *Observer) Flows() ([]Flow, error) {
	sightings, err := o.Sightings()
	if err != nil {
		return nil, err
	}
	var flows []Flow
	for _, s := range sightings {
		if len(flows) == 0 || flows[len(flows)-1].Flow != s.Flow {
			flows = append(flows, Flow{Flow: s.Flow, Queues: map[rss.Queue]uint64{}})
		}
		flows[len(flows)-1].add(s)
	}
	return flows, nil
}

func (f *Flow) add(s Sighting) {
	f.Packets += s.Packets
	f.Queues[s.Queue] += s.Packets
	f.CPUs = append(f.CPUs, s.CPUs...)
	slices.Sort(f.CPUs)
	f.CPUs = slices.Compact(f.CPUs)
}

// Sightings returns the flows by queue and hash, in the order of source, destination, queue and hash.
func (o *Observer) Sightings() ([]Sighting, error) {
	var all []Sighting
	var k bpf.ObserveSighting
	var v bpf.ObserveSeen
	rows := o.maps.Sightings.Iterate()
	for rows.Next(&k, &v) {
		all = append(all, sighting(k, v))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read what the observer saw: %w", err)
	}
	slices.SortFunc(all, func(a, b Sighting) int {
		return cmp.Or(a.Flow.Source.Compare(b.Flow.Source), a.Flow.Destination.Compare(b.Flow.Destination),
			cmp.Compare(a.Flow.Protocol, b.Flow.Protocol), cmp.Compare(a.Queue, b.Queue), cmp.Compare(a.Hash, b.Hash))
	})
	return all, nil
}

func sighting(k bpf.ObserveSighting, v bpf.ObserveSeen) Sighting {
	s := Sighting{
		Flow: packet.Flow{
			Source:      bpf.AddrPort(k.Source, k.SourcePort),
			Destination: bpf.AddrPort(k.Destination, k.DestinationPort),
			Protocol:    packet.Protocol(k.Protocol),
		},
		Queue: rss.Queue(k.Queue), Hash: k.Hash, Hashed: k.Hashed != 0, Packets: v.Packets,
	}
	for i, word := range v.Cpus {
		for ; word != 0; word &= word - 1 {
			s.CPUs = append(s.CPUs, i*64+bits.TrailingZeros64(word))
		}
	}
	return s
}

// Reset deletes the flows recorded so far. A packet that comes meanwhile may be deleted or kept.
func (o *Observer) Reset() error {
	var k bpf.ObserveSighting
	var v bpf.ObserveSeen
	var all []bpf.ObserveSighting
	rows := o.maps.Sightings.Iterate()
	for rows.Next(&k, &v) {
		all = append(all, k)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read what the observer saw: %w", err)
	}
	for _, k := range all {
		if err := o.maps.Sightings.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget what the observer saw: %w", err)
		}
	}
	return nil
}

// Totals count all packets that an observer saw, by what it did with them.
type Totals struct {
	// Recorded were counted under their flow.
	Recorded uint64
	// NoFlow were neither TCP nor UDP in plain IPv4 or IPv6: fragments, options,
	// extension headers, VLAN tags, other protocols.
	NoFlow uint64
	// TableFull belong to flows for which the table had no room.
	TableFull uint64
	// Sampled would be NoFlow or TableFull, but became a Sample.
	Sampled uint64
}

// All returns the sum.
func (t Totals) All() uint64 { return t.Recorded + t.NoFlow + t.TableFull + t.Sampled }

// Totals returns the counts since the observer started; Reset does not change them.
func (o *Observer) Totals() (Totals, error) {
	var t Totals
	for sight, n := range map[bpf.ObserveSight]*uint64{
		bpf.ObserveSightSIGHT_RECORDED:   &t.Recorded,
		bpf.ObserveSightSIGHT_NO_FLOW:    &t.NoFlow,
		bpf.ObserveSightSIGHT_TABLE_FULL: &t.TableFull,
		bpf.ObserveSightSIGHT_SAMPLED:    &t.Sampled,
	} {
		var perCPU []uint64
		if err := o.maps.Sights.Lookup(uint32(sight), &perCPU); err != nil {
			return Totals{}, fmt.Errorf("read the observer's totals: %w", err)
		}
		for _, packets := range perCPU {
			*n += packets
		}
	}
	return t, nil
}
