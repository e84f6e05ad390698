package observe

import (
	"fmt"

	"lbctl/bpf"
)

// Totals say what became of the packets that passed an observer. Their sum is all of them.
type Totals struct {
	// Recorded were counted under their flow.
	Recorded uint64
	// NoFlow were neither TCP nor UDP in plain IPv4 or IPv6: fragments, options,
	// extension headers, VLAN tags, other protocols.
	NoFlow uint64
	// TableFull were of a flow for which there was no room.
	TableFull uint64
	// Sampled were of one of these two kinds, but were handed out as a Sample.
	Sampled uint64
}

// All returns their sum.
func (t Totals) All() uint64 { return t.Recorded + t.NoFlow + t.TableFull + t.Sampled }

// Totals returns what was counted since the observer started; Reset does not touch it.
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
