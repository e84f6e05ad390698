package nicoracle

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"lbctl/rss"
	"lbctl/rss/ethtool"
)

// perKind is how many packets of each kind and set-up a golden file has.
const perKind = 5

// writeGolden writes some of the observations: what the NIC did, nothing of the model.
func (r *run) writeGolden(path string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# What a NIC did that is not ours: QEMU's virtio-net under a Linux guest.
# Written by: lbctl lab run nic-oracle --seed %d --set packets=%d --set golden=FILE
# Emulator: %s
# Guest's kernel: %s, driver %s
# setup, name, queues, key, table, hash fields of tcp4, udp4, ip4, tcp6, udp6, ip6 (as the driver says them)
# packet, kind, frame, queue, hash (0x00000000: none); each belongs to the setup above it
`, r.env.Seed, r.packets, r.emulator, r.kernel, r.hello.Settings.RSS.Driver)
	w := csv.NewWriter(&b)
	for _, e := range r.evidence {
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
	record := []string{"setup", e.Arm.Name, strconv.Itoa(said.Queues), hex.EncodeToString(said.Key), tableText(said.Table)}
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
