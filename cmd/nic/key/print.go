package key

import (
	"fmt"
	"io"
	"math/bits"
	"strings"

	"lbctl/cmd/cli"
)

// show prints an analysis for a reader.
func (k *analysis) show(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", k.Text)
	cli.Row(w, "key", k.Key)
	cli.Row(w, "bytes", k.Bytes)
	repeats := "no"
	if k.PeriodBits > 0 {
		repeats = fmt.Sprintf("every %d bits", k.PeriodBits)
	}
	cli.Row(w, "repeats", repeats)
	if k.HalvesEqual {
		cli.Row(w, "halves", "equal")
	}
	for _, s := range k.Symmetry {
		cli.Row(w, "symmetric", fmt.Sprintf("%s %s: %s", s.Family, s.Fields, symmetric(s.LowBits)))
	}
	fmt.Fprintln(w)
	k.showRanks(w)
	fmt.Fprintln(w)
	k.showTraffic(w)
	fmt.Fprintln(w)
	p := k.SourcePorts
	cli.Row(w, "ports of one client per queue", fmt.Sprintf("%d to %d of 65536", p.Fewest, p.Most))
	cli.Row(w, "random ports until one hits the likeliest queue", fmt.Sprintf("%.1f on average", p.Tries))
	if p.Probes > 0 {
		cli.Row(w, "known ports that reveal the entries of all, without the key", p.Probes)
	}
}

func symmetric(lowBits int) string {
	switch {
	case lowBits == 32:
		return "yes"
	case lowBits == 0:
		return "no"
	}
	return fmt.Sprintf("the index of tables up to %d", 1<<lowBits)
}

func (k *analysis) showRanks(w io.Writer) {
	head := []any{"INDEX BITS CHANGED"}
	for _, size := range k.TableSizes {
		head = append(head, fmt.Sprintf("%d:%d", size, bits.Len(uint(size))-1))
	}
	cli.Row(w, append(head, fmt.Sprintf("BLIND BITS AT %d", k.Table))...)
	for _, r := range k.Ranks {
		cells := []any{r.Family + " " + r.Field}
		for _, n := range r.Bits {
			cells = append(cells, n)
		}
		cli.Row(w, append(cells, strings.Join(r.Blind, ","))...)
	}
}

func (k *analysis) showTraffic(w io.Writer) {
	cli.Row(w, fmt.Sprintf("TRAFFIC ON %d QUEUES", k.Queues), "FLOWS", "HASHES", "ENTRIES", "QUEUES", "ALL AFTER", "IMBALANCE", "BY CHANCE")
	for _, t := range k.Traffic {
		after := ""
		if t.AllAfter > 0 {
			after = fmt.Sprint(t.AllAfter)
		}
		cli.Row(w, t.Name, t.Flows, t.Hashes, t.Entries, t.Queues, after, fmt.Sprintf("%.3f", t.Imbalance), fmt.Sprintf("%.3f", t.ByChance))
	}
}
