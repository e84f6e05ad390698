package spread

import (
	"fmt"
	"maps"
	"slices"

	"lbctl/lb"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// Tables are the main run's figures in numbers, the answers first.
func Tables(e Evidence, checks []report.Check, m predict.Model) []report.Table {
	t := newTally(e)
	return []report.Table{
		claims(checks), t.queueTable(m), t.replicaTable(m), removal(t, m), t.reasonTable(),
	}
}

// claims answers the textbook's questions from the checks.
func claims(checks []report.Check) report.Table {
	return experiment.Claims(checks,
		experiment.Finding{
			Question: "Do all packets of a TCP connection come to the same queue and core of the machine?",
			Answer:   "Yes. They have one 4-tuple, hence one hash, one entry of the indirection table, one queue, one core.",
			Checks:   []string{FlowQueueAffinity, FlowCoreAffinity, QueueAsPredicted},
		},
		experiment.Finding{
			Question: "Are all packets of a TCP connection sent to the same replica?",
			Answer:   "Yes. They have one 4-tuple, hence one hash h and one replica, the one that h mod N names.",
			Checks:   []string{FlowReplicaAffinity, ReplicaAsPredicted},
		},
		experiment.Finding{
			Question: "Are all requests for one web object sent to the same replica?",
			Answer:   "No. They come over many connections with different 4-tuples, hence to different replicas.",
			Checks:   []string{ObjectSpread},
		})
}

// queueTable is a line for each receive queue.
func (t tally) queueTable(m predict.Model) report.Table {
	table := report.Table{Name: "queues", Columns: []string{"queue", "cores", "packets to the VIP", "connections", "expected", "band of 95 %"}}
	weights := m.NIC.Config().Table.Shares()
	packets, cores := make([]uint64, len(weights)), make([]map[int]bool, len(weights))
	for _, c := range t.connections {
		if c.seen == nil {
			continue
		}
		for q, n := range c.seen.Queues {
			if int(q) >= len(weights) {
				continue
			}
			packets[q] += n
			if cores[q] == nil {
				cores[q] = map[int]bool{}
			}
			for _, cpu := range c.seen.CPUs {
				cores[q][cpu] = true
			}
		}
	}
	shares, err := predict.Shares(t.perQueue(len(weights)), weights)
	if err != nil {
		return table
	}
	for i, s := range shares {
		table.Rows = append(table.Rows, []any{s.Label, listing(slices.Sorted(maps.Keys(cores[i]))), packets[i], s.Count, s.Expected, bandText(s)})
	}
	return table
}

// replicaTable is a line for each replica.
func (t tally) replicaTable(m predict.Model) report.Table {
	table := report.Table{Name: "replicas", Columns: []string{"replica", "address", "requests", "connections", "expected", "band of 95 %"}}
	o := t.objects()
	shares, err := predict.Shares(o.connections, m.ReplicaShares())
	if err != nil {
		return table
	}
	for i, s := range shares {
		requests := 0
		for _, n := range o.requests[i] {
			requests += n
		}
		table.Rows = append(table.Rows, []any{s.Label, t.Replicas[i].String(), requests, s.Count, s.Expected, bandText(s)})
	}
	return table
}

// removal computes what the textbook tells its reader to ignore: how many of the
// connections would change their replica if one were removed.
func removal(t tally, m predict.Model) report.Table {
	table := report.Table{Name: "if one replica were taken away", Columns: []string{"scheduler", "connections that would change their replica", "of", "at least"}}
	last := len(m.Service.Replicas) - 1
	for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
		before := m.With(scheduler, last+1)
		after := m.With(scheduler, last)
		moved, orphans := 0, 0
		for _, c := range t.connections {
			from := before.Replica(c.flow)
			moved += experiment.One(from != after.Replica(c.flow))
			orphans += experiment.One(from == last)
		}
		table.Rows = append(table.Rows, []any{scheduler.String(), moved, len(t.connections), orphans})
	}
	return table
}

// reasonTable is what the load balancer did with the packets.
func (t tally) reasonTable() report.Table {
	table := report.Table{Name: "packets by reason", Columns: []string{"reason", "packets"}}
	for _, reason := range slices.Sorted(maps.Keys(t.Reasons)) {
		if n := t.Reasons[reason]; n > 0 {
			table.Rows = append(table.Rows, []any{string(reason), n})
		}
	}
	return table
}

func bandText(s report.Share) string {
	return fmt.Sprintf("%s to %s", report.Cell(int(s.Low)), report.Cell(int(s.High)))
}

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

// hops draws one connection hop by hop: what the models compute, and what was measured.
func (t tally) hops(m predict.Model) (report.Figure, error) {
	const name, title = "hops", "One connection, hop by hop"
	c := t.followed()
	if c == nil {
		return report.Hops(name, title, "No connection was seen by all witnesses on one queue and one replica.", report.Hop{Label: "4-tuple", Value: "none"})
	}
	in := m.NIC.ClassifyFlow(c.flow)
	hash, slot := m.Slot(c.flow)
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

// hopTable compares, for the connection that the report follows, the models with the answer of
// `lbctl explain` and with what was seen.
func (d *design) hopTable() (report.Table, bool) {
	c := newTally(d.main).followed()
	if c == nil || d.followed == nil {
		return report.Table{}, false
	}
	in := d.model.NIC.ClassifyFlow(c.flow)
	hash, slot := d.model.Slot(c.flow)
	explained := "none"
	if d.followed.Slot != nil {
		explained = fmt.Sprint(*d.followed.Slot)
	}
	to := d.model.Replica(c.flow)
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
