package nicoracle

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
	"lbctl/testbed/vm"
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

// setupTable has a line for each set-up.
func setupTable(all []Evidence) report.Table {
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
			e.Setup.Name, said.Queues, e.Setup.Change.RSS.Table.String(), hex.EncodeToString(said.Key[:8]),
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
func (d *design) machineTable() report.Table {
	nic := d.hello.Settings.RSS
	return report.Table{Name: "the other implementation", Columns: []string{"what", "which"}, Rows: [][]any{
		{"emulator", d.emulator},
		{"guest's kernel", d.kernel},
		{"NIC", fmt.Sprintf("virtio-net-pci, mq=on, rss=on, hash=on; driver %s", nic.Driver)},
		{"its table", fmt.Sprintf("%d entries", len(nic.Table))},
		{"its key", fmt.Sprintf("%d bytes", len(nic.Key))},
		{"what it hashed at its start", fmt.Sprintf("%v; reported to the guest: %v", nic.Fields, d.hello.Settings.Hash)},
		{"guest up after", fmt.Sprintf("%.1f s", d.boot.Seconds())},
		{"all packets after another", fmt.Sprintf("%.1f s", d.traffic.Seconds())},
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
				e.Setup.Name, o.Kind.String(), hex.EncodeToString(o.Bytes), o.Times,
				queueText(o.Queue), queueText(p.Queue), hashText(o.Hash), hashText(p.Hash),
			})
		}
	}
	return table
}

func queueText(q rss.Queue) string { return fmt.Sprint(uint16(q)) }

func hashText(h uint32) string { return fmt.Sprintf("0x%08x", h) }

// figures draws where packets went.
func figures(all []Evidence) ([]report.Figure, error) {
	agreement, err := agreementMap(all)
	if err != nil {
		return nil, err
	}
	shares, err := sharesOf(find(all, afterRewrite))
	if err != nil {
		return nil, err
	}
	return []report.Figure{agreement, shares}, nil
}

// agreementMap draws the queue that was seen against the queue that was predicted.
func agreementMap(all []Evidence) (report.Figure, error) {
	matrix := report.Matrix{X: "queue seen", Y: "queue predicted", Unit: "packets"}
	for q := range vm.Queues {
		matrix.Columns = append(matrix.Columns, strconv.Itoa(q))
		matrix.Counts = append(matrix.Counts, make([]float64, vm.Queues))
	}
	matrix.Rows = matrix.Columns
	for _, e := range all {
		for _, o := range e.Observations {
			p := e.byModel(o.Frame)
			if o.Times > 0 && int(p.Queue) < vm.Queues && int(o.Queue) < vm.Queues {
				matrix.Counts[p.Queue][o.Queue]++
			}
		}
	}
	return report.HeatMap("agreement", "Predicted and seen",
		"Packets of all set-ups by the queue that the model predicts and the queue on which the guest received them. Agreement is the diagonal.", matrix)
}

// sharesOf draws the packets by queue against the table's shares.
func sharesOf(e Evidence) (report.Figure, error) {
	shares, err := predict.Shares(e.perQueue(), e.Config.Table.Shares())
	if err != nil {
		return report.Figure{}, err
	}
	return report.Shares("shares", "A table with weights",
		fmt.Sprintf("Packets by queue in the set-up %q (%v), each of a flow of its own. Dashed: the table's share. Grey: where chance alone keeps a queue in %g of 100 runs.",
			e.Setup.Name, e.Setup.Change.RSS.Table, 100*predict.Band), report.Panel{X: "receive queue", Y: "packets", Shares: shares})
}

// perKind is how many packets of each kind and set-up a golden file has.
const perKind = 5

// writeGolden writes some of the observations: what the NIC did, nothing of the model.
func (d *design) writeGolden(path string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# What a NIC did that is not ours: QEMU's virtio-net under a Linux guest.
# Written by: lbctl lab run nic-oracle --seed %d --set packets=%d --set golden=FILE
# Emulator: %s
# Guest's kernel: %s, driver %s
# setup, name, queues, key, table, hash fields of tcp4, udp4, ip4, tcp6, udp6, ip6 (as the driver says them)
# packet, kind, frame, queue, hash (0x00000000: none); each belongs to the setup above it
`, d.run.Seed, d.packets, d.emulator, d.kernel, d.hello.Settings.RSS.Driver)
	w := csv.NewWriter(&b)
	for _, e := range d.evidence {
		_ = w.Write(e.goldenSetup()) // a buffer takes everything
		left := map[Kind]int{}
		for _, o := range e.Observations {
			if left[o.Kind]++; left[o.Kind] > perKind || o.Times != 1 {
				continue
			}
			_ = w.Write([]string{"packet", o.Kind.String(), hex.EncodeToString(o.Bytes), queueText(o.Queue), hashText(o.Hash)})
		}
	}
	w.Flush()
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write golden file: %w", err)
	}
	return nil
}

// goldenSetup is the line of a set-up.
func (e Evidence) goldenSetup() []string {
	said := e.Settings.RSS
	record := []string{"setup", e.Setup.Name, strconv.Itoa(said.Queues), hex.EncodeToString(said.Key), tableText(said.Table)}
	for _, flow := range []ethtool.FlowType{ethtool.TCP4, ethtool.UDP4, ethtool.IP4, ethtool.TCP6, ethtool.UDP6, ethtool.IP6} {
		record = append(record, said.Fields[flow].String())
	}
	return record
}

// tableText is a table's queues in order.
func tableText(table rss.Table) string {
	entries := make([]string, len(table))
	for i, q := range table {
		entries[i] = queueText(q)
	}
	return strings.Join(entries, " ")
}
