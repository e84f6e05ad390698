package nicoracle

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/testbed/report"
)

// kindTable is a line for each kind of packets.
func kindTable(all []Evidence) report.Table {
	table := report.Table{Name: "kinds", Columns: []string{"kind", "packets", "queue as predicted", "hash as predicted", "hashed on"}}
	for k := range kinds {
		t, fields := total(all, only(k)), map[string]bool{}
		for _, e := range all {
			for _, o := range e.Observations {
				if o.Kind == k {
					fields[e.byModel(o.Frame).Fields.String()] = true
				}
			}
		}
		table.Rows = append(table.Rows, []any{k.String(), t.sent, t.queue, t.hash, strings.Join(slices.Sorted(maps.Keys(fields)), ", ")})
	}
	return table
}

// armTable is a line for each set-up.
func armTable(all []Evidence) report.Table {
	table := report.Table{
		Name:    "set-ups, as the guest's ethtool interface tells them",
		Columns: []string{"set-up", "queues", "table", "key begins", "tcp4, udp4, tcp6, udp6", "packets", "as predicted", "packets by queue"},
	}
	for _, e := range all {
		said, t := e.Settings.RSS, e.agree(e.byModel, anyKind)
		var fields []string
		for _, flow := range []ethtool.FlowType{ethtool.TCP4, ethtool.UDP4, ethtool.TCP6, ethtool.UDP6} {
			fields = append(fields, said.Fields[flow].String())
		}
		table.Rows = append(table.Rows, []any{
			e.Arm.Name, said.Queues, e.Arm.Change.RSS.Table.String(), hex.EncodeToString(said.Key[:8]),
			strings.Join(fields, ", "), t.sent, t.both, fmt.Sprint(e.perQueue()),
		})
	}
	return table
}

// perQueue counts the packets seen by queue.
func (e Evidence) perQueue() []int {
	counts := make([]int, max(e.Config.Table.Queues(), e.Settings.RSS.Queues))
	for _, o := range e.Observations {
		if o.Times > 0 && int(o.Queue) < len(counts) {
			counts[o.Queue]++
		}
	}
	return counts
}

// machineTable says what the other implementation is.
func (r *run) machineTable() report.Table {
	nic := r.hello.Settings.RSS
	return report.Table{Name: "the other implementation", Columns: []string{"what", "which"}, Rows: [][]any{
		{"emulator", r.emulator},
		{"guest's kernel", r.kernel},
		{"NIC", fmt.Sprintf("virtio-net-pci, mq=on, rss=on, hash=on; driver %s", nic.Driver)},
		{"its table", fmt.Sprintf("%d entries", len(nic.Table))},
		{"its key", fmt.Sprintf("%d bytes", len(nic.Key))},
		{"what it hashed at its start", fmt.Sprintf("%v; reported to the guest: %v", nic.Fields, r.hello.Settings.Hash)},
		{"guest up after", fmt.Sprintf("%.1f s", r.boot.Seconds())},
		{"all packets after another", fmt.Sprintf("%.1f s", r.traffic.Seconds())},
	}}
}

// disagreements are the first packets that were not as predicted.
func disagreements(all []Evidence) report.Table {
	const most = 20
	table := report.Table{
		Name:    "packets not as predicted",
		Columns: []string{"set-up", "kind", "frame", "seen", "queue", "of the model", "hash", "of the model"},
	}
	for _, e := range all {
		for _, o := range e.Observations {
			p := e.byModel(o.Frame)
			if o.Times == 1 && p.Queue == o.Queue && p.Hash == o.Hash || len(table.Rows) == most {
				continue
			}
			table.Rows = append(table.Rows, []any{
				e.Arm.Name, o.Kind.String(), hex.EncodeToString(o.Bytes), o.Times,
				queueText(o.Queue), queueText(p.Queue), hashText(o.Hash), hashText(p.Hash),
			})
		}
	}
	return table
}

func queueText(q rss.Queue) string { return fmt.Sprint(uint16(q)) }

func hashText(h uint32) string { return fmt.Sprintf("0x%08x", h) }
