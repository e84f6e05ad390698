package spread

import (
	"fmt"
	"maps"
	"slices"

	"lbctl/lb"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// Tables are the main run's figures in numbers, the answers first.
func Tables(e Evidence, checks []report.Check, m Model) []report.Table {
	t := newTally(e)
	return []report.Table{
		claims(checks), t.queueTable(m), t.replicaTable(m), removal(t, m), t.reasonTable(),
	}
}

// claims answers the questions of the problem set from the checks.
func claims(checks []report.Check) report.Table {
	passed := map[string]bool{}
	for _, c := range checks {
		passed[c.Name] = c.Pass
	}
	answer := func(yes, no string, names ...string) string {
		for _, name := range names {
			if !passed[name] {
				return no
			}
		}
		return yes
	}
	const open = "Not shown by this run: see the checks that failed."
	return report.Table{Name: "claims", Columns: []string{"question", "answer"}, Rows: [][]any{
		{"Do all packets of a TCP connection come to the same queue and core of the machine?",
			answer("Yes. They have one 4-tuple, hence one hash, one entry of the indirection table, one queue, one core.", open, FlowQueueAffinity, FlowCoreAffinity, QueueAsPredicted)},
		{"Are all packets of a TCP connection sent to the same replica?",
			answer("Yes. They have one 4-tuple, hence one hash h and one replica, the one that h mod N names.", open, FlowReplicaAffinity, ReplicaAsPredicted)},
		{"Are all requests for one web object sent to the same replica?",
			answer("No. They come over many connections with different 4-tuples, hence to different replicas.", open, ObjectSpread)},
	}}
}

// queueTable is a line for each receive queue.
func (t tally) queueTable(m Model) report.Table {
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
	shares, err := shareList(t.perQueue(len(weights)), weights)
	if err != nil {
		return table
	}
	for i, s := range shares {
		table.Rows = append(table.Rows, []any{s.Label, list(cores[i]), packets[i], s.Count, s.Expected, bandText(s)})
	}
	return table
}

// replicaTable is a line for each replica.
func (t tally) replicaTable(m Model) report.Table {
	table := report.Table{Name: "replicas", Columns: []string{"replica", "address", "requests", "connections", "expected", "band of 95 %"}}
	o := t.objects()
	shares, err := shareList(o.connections, m.replicaShares())
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

// removal computes what the problem set tells its reader to ignore: how many of the
// connections would change their replica if one were removed.
func removal(t tally, m Model) report.Table {
	table := report.Table{Name: "if one replica were taken away", Columns: []string{"scheduler", "connections that would change their replica", "of", "at least"}}
	last := len(m.Service.Replicas) - 1
	for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
		before := m.with(scheduler, last+1)
		after := m.with(scheduler, last)
		moved, orphans := 0, 0
		for _, c := range t.connections {
			from := before.replica(c.flow)
			moved += experiment.One(from != after.replica(c.flow))
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

func list(set map[int]bool) string {
	text := ""
	for i, n := range slices.Sorted(maps.Keys(set)) {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(n)
	}
	return text
}
