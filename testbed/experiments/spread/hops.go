package spread

import (
	"fmt"
	"slices"

	"lbctl/lb"
	"lbctl/testbed/report"
)

// followed is the connection that the report follows hop by hop: the one in the middle by
// its number of packets.
func (t tally) followed() *connection {
	seen := slices.DeleteFunc(slices.Clone(t.connections), func(c *connection) bool {
		return c.seen == nil || len(c.seen.Queues) != 1 || len(c.seen.CPUs) == 0 || len(c.replicas()) != 1
	})
	if len(seen) == 0 {
		return nil
	}
	slices.SortStableFunc(seen, func(a, b *connection) int { return int(a.packets) - int(b.packets) })
	return seen[len(seen)/2]
}

// hops draws the way of one connection: what the models compute, and what was measured.
func (t tally) hops(m Model) (report.Figure, error) {
	const name, title = "hops", "One connection, hop by hop"
	c := t.followed()
	if c == nil {
		return report.Hops(name, title, "No connection was seen by all witnesses on one queue and one replica.", report.Hop{Label: "4-tuple", Value: "none"})
	}
	in := m.NIC.ClassifyFlow(c.flow)
	hash, slot := m.slot(c.flow)
	service, table := m.Service, len(m.NIC.Config().Table)
	to := c.replicas()[0]
	origin := report.Hop{Label: "4-tuple, tcp", Value: c.flow.Source.String(), Note: "to " + c.flow.Destination.String()}
	var queue string
	for q := range c.seen.Queues {
		queue = fmt.Sprint(q)
	}
	there := report.Cell(c.seen.Packets) + " packets"
	card := report.Lane{Name: "the network card", Hops: []report.Hop{
		{Via: "Toeplitz", Label: "hash", Value: fmt.Sprintf("0x%08x", in.Hash), Note: "computed"},
		{Via: fmt.Sprintf("mod %d", table), Label: "index", Value: fmt.Sprint(in.Index), Note: fmt.Sprintf("of %s", report.Cell(table))},
		{Via: "table", Label: "queue", Value: queue, Note: there},
		{Via: "worker", Label: "core", Value: fmt.Sprint(c.seen.CPUs[0]), Note: there},
	}}
	balancer := report.Lane{Name: "the load balancer", Hops: []report.Hop{
		{Via: service.Hash.String(), Label: "hash", Value: fmt.Sprintf("0x%08x", hash), Note: seedNote(service)},
		{Via: fmt.Sprintf("mod %d", service.TableSize), Label: "slot", Value: fmt.Sprint(slot), Note: fmt.Sprintf("of %s", report.Cell(int(service.TableSize)))},
		{Via: service.Scheduler.String(), Label: fmt.Sprintf("replica %d", to), Value: t.Replicas[to].Addr().String(), Note: fmt.Sprintf("port %d", t.Replicas[to].Port())},
	}}
	return report.Hops(name, title, fmt.Sprintf(
		"Both hash the same 4-tuple. Hash, index and slot are computed by the models; queue and core are what the kernel's observer saw of %s packets, the replica is what all witnesses saw of %s packets in both directions.",
		report.Cell(c.seen.Packets), report.Cell(c.packets)), origin, card, balancer)
}

func seedNote(s lb.Service) string {
	if s.Hash == lb.JHash {
		return fmt.Sprintf("seed %d", s.Seed)
	}
	return "computed"
}

// hopTable compares, for the connection that is followed, the models with what the
// running daemon explains and with what was seen.
func (d *design) hopTable() (report.Table, bool) {
	c := newTally(d.main).followed()
	if c == nil || d.followed == nil {
		return report.Table{}, false
	}
	in := d.model.NIC.ClassifyFlow(c.flow)
	hash, slot := d.model.slot(c.flow)
	explained := "none"
	if d.followed.Slot != nil {
		explained = fmt.Sprint(*d.followed.Slot)
	}
	to := d.model.replica(c.flow)
	return report.Table{
		Name:    "one connection: " + c.flow.String(),
		Columns: []string{"hop", "model", "lbctl explain", "seen"},
		Rows: [][]any{
			{"hash of the NIC", fmt.Sprintf("0x%08x", in.Hash), "", ""},
			{"index", fmt.Sprint(in.Index), "", ""},
			{"queue", fmt.Sprint(in.Queue), "", fmt.Sprint(c.seenQueues())},
			{"core", fmt.Sprint(d.cluster.NIC().Core(in.Queue)), "", fmt.Sprint(c.seen.CPUs)},
			{"hash of the load balancer", fmt.Sprintf("0x%08x", hash), d.followed.Hash, ""},
			{"slot", fmt.Sprint(slot), explained, ""},
			{"replica", fmt.Sprintf("%d, %v", to, d.main.Replicas[to]), d.followed.Replica, fmt.Sprint(c.replicas())},
		},
	}, true
}
