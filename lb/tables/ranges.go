package tables

import (
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

// RangeRows returns the rows of sorted source ranges. Packets of the address family are looked for in the first n, which do not
// overlap. Behind them are those that lie in others, and those of the other family.
func RangeRows(sorted []netip.Prefix, v4 bool) (rows []bpf.LbSourceRange, n uint32) {
	var last netip.Prefix
	var rest []bpf.LbSourceRange
	for _, p := range sorted {
		if p.Addr().Is4() != v4 || last.IsValid() && last.Overlaps(p) {
			rest = append(rest, bpf.RangeRow(p))
			continue
		}
		last = p
		rows = append(rows, bpf.RangeRow(p))
	}
	return append(rows, rest...), uint32(len(rows))
}

// RangesFor is the number of rows of source ranges: the old ones and the new ones.
func RangesFor(l lb.Limits) uint32 { return 2 * l.SourceRanges }
