package tophalf

import (
	"fmt"
	"strings"

	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	e1000, virtio, threaded, ne2000 := d.evidence[armE1000], d.evidence[armVirtio], d.evidence[armThreaded], d.evidence[armNE2000]
	modern := join(e1000, virtio)
	r.Check(whole(d.evidence))
	r.Check(checks(modern)...)
	r.Control(controls(threaded, ne2000)...)
	r.Table(answers(e1000, virtio, ne2000), stepTable(e1000, virtio, threaded, ne2000), topHalfTable(e1000), ringTable(d.evidence), d.machineTable())
	answer(r, e1000, virtio, ne2000)
	figures, err := figures(e1000, virtio, threaded, ne2000)
	r.Figure(figures...)
	return err
}

// predictions are what a student is asked.
func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: "copy-in-top-half", Kind: experiment.YesNo, Question: "A NIC with DMA (e1000) has received a packet: does any function copy data in the top half of its interrupt?"},
		{Name: "ack-in-top-half", Kind: experiment.YesNo, Question: "Does the top half send the TCP acknowledgement?"},
		{Name: "ring-in-top-half", Kind: experiment.YesNo, Question: "Does the driver of an e1000 advance its place in the RX ring in the top half?"},
		{Name: "ring-in-old-top-half", Kind: experiment.YesNo, Question: "Does the driver of an NE2000, which is older than polling (NAPI) and has no DMA, advance its place in the RX ring in the top half?"},
		{Name: "copy-in-old-top-half", Kind: experiment.YesNo, Question: "Does the driver of the NE2000 copy the packet in the top half?"},
	}
}

// answer enters the headline, and what the predictions are held against.
func answer(r *experiment.Run, e1000, virtio, ne2000 Evidence) {
	both := join(e1000, virtio)
	moved, old := both.moves(), ne2000.moves()
	acks := ackStep.count(both.calls())
	r.Headline("In %d top halves of e1000 and virtio-net %d functions copied data, %d acknowledgements were sent and the ring moved %d times: the polls after them moved it %d times and sent %d acknowledgements, and the process copied %d times. The driver of an NE2000, without DMA and polls, copied and moved the ring in %d of %d top halves.",
		moved.Interrupts, both.noCopy().Measured, acks[TopHalf], moved.MovedInInterrupt, moved.MovedInPoll, acks[Softirq],
		userStep.count(both.calls())[Process], old.MovedInInterrupt, old.Interrupts)
	yes := func(name string, v bool) report.Quantity { return report.Quantity{Name: name, Value: v} }
	r.Quantity(
		yes("copy-in-top-half", !e1000.noCopy().Pass), yes("ack-in-top-half", acks[TopHalf] > 0),
		yes("ring-in-top-half", e1000.moves().MovedInInterrupt > 0),
		yes("ring-in-old-top-half", old.MovedInInterrupt > 0), yes("copy-in-old-top-half", !ne2000.noCopy().Pass),
	)
}

// answers holds the textbook's four answers against the recordings.
func answers(e1000, virtio, ne2000 Evidence) report.Table {
	where := func(s Step) []any {
		var row []any
		for _, e := range []Evidence{e1000, virtio, ne2000} {
			row = append(row, list(s.places(e.calls())))
		}
		return row
	}
	device := func(s Step) []any {
		row := where(s)
		row[0], row[1] = "nowhere: the NIC's DMA, before the interrupt", "nowhere: the device, before the interrupt"
		return row
	}
	ring := func() (row []any) {
		for _, e := range []Evidence{e1000, virtio, ne2000} {
			m, found := e.moves(), []Place(nil)
			if m.MovedInInterrupt > 0 {
				found = append(found, TopHalf)
			}
			if m.MovedInPoll > 0 {
				found = append(found, pollStep.places(e.calls())...)
			}
			row = append(row, list(found))
		}
		return row
	}
	row := func(name string, cells []any) []any { return append([]any{name}, cells...) }
	return report.Table{
		Name:    "the four answers, and where each was done",
		Columns: []string{"answer", "e1000", "virtio-net", "NE2000 (no DMA, no polls)"},
		Rows: [][]any{
			row("(a) copy from NIC memory to kernel memory", device(steps()[4])),
			row("(b) copy from kernel memory to user memory", where(userStep)),
			row("(c) update the RX ring pointers", ring()),
			row("(d) send the TCP acknowledgement", where(ackStep)),
			{"which is the best answer", "(c): it alone is the driver's answer to the interrupt. But since NAPI the top half only reads and masks the interrupt and schedules the poll; the poll updates the ring.", "(c), as on e1000", "(c), in the top half itself. (a), too, but only since the NIC has no DMA."},
		},
	}
}

// stepTable says in which place each step was done, and how often.
func stepTable(all ...Evidence) report.Table {
	t := report.Table{Name: "where each step was done (calls in all recordings)", Columns: append([]string{"step"}, arms()...)}
	for _, s := range steps() {
		row := []any{s.Name}
		for _, e := range all {
			var cell []string
			for p, n := range s.count(e.calls()) {
				if n > 0 {
					cell = append(cell, fmt.Sprintf("%v %d", Place(p), n))
				}
			}
			row = append(row, strings.Join(cell, ", "))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// topHalfTable lists the first top half of a recording.
func topHalfTable(e Evidence) report.Table {
	t := report.Table{Name: "the whole top half of one packet: every function that an e1000's interrupt entered", Columns: []string{"function", "called by"}}
	if len(e.Receptions) == 0 {
		return t
	}
	for _, c := range e.Receptions[0].Calls {
		if c.Place != TopHalf {
			break
		}
		t.Rows = append(t.Rows, []any{c.Name, c.Caller})
	}
	return t
}

// ringTable lists where the rings stood in the first recording of each arm.
func ringTable(all map[string]Evidence) report.Table {
	t := report.Table{
		Name:    "where the ring stood: next is the driver's place in it, tail what it has given back to the NIC (of the NE2000 only next is in memory)",
		Columns: []string{"arm", "when", "next", "tail"},
	}
	words := map[string]string{"before": "interrupt begins", "after": "interrupt ends", "poll": "poll begins", "done": "poll is complete"}
	for _, name := range arms() {
		if len(all[name].Receptions) == 0 {
			continue
		}
		for _, at := range all[name].Receptions[0].Readings {
			t.Rows = append(t.Rows, []any{name, words[at.Place], at.Next, at.Tail})
		}
	}
	return t
}

// machineTable says what received.
func (d *design) machineTable() report.Table {
	rows := [][]any{{"emulator", d.machine.Version()}, {"guest's kernel", d.machine.Kernel()}}
	for i, n := range nics {
		rows = append(rows, []any{"NIC " + d.names[i], fmt.Sprintf("QEMU's %s, driver %s", n.model, n.driver)})
	}
	return report.Table{Name: "the machine", Columns: []string{"what", "which"}, Rows: rows}
}

// figures draws the stations of a packet, and the steps by place.
func figures(all ...Evidence) ([]report.Figure, error) {
	stations, err := report.Hops("stations", "The stations of one packet",
		"Each row is an arm: the places that its packet came through, the first of the driver's or the system's functions there, and how many calls of functions there were. Whatever the NIC, the process copies to its own memory. The driver's poll, which moves the ring and leads to the acknowledgement, is in the softirq, in a thread of the kernel if it is told so, and the NE2000 has none: its top half does that work.",
		report.Hop{Label: "the NIC", Value: "one TCP segment", Note: "raises an interrupt"}, lanes(all)...)
	if err != nil {
		return nil, err
	}
	m := report.Matrix{X: "place", Y: "step", Unit: "calls"}
	e := all[0]
	for p := range elsewhere {
		if p != Thread {
			m.Columns = append(m.Columns, p.String())
		}
	}
	for _, s := range steps() {
		n := s.count(e.calls())
		if sum(n) == 0 {
			continue
		}
		m.Rows = append(m.Rows, s.Name)
		m.Counts = append(m.Counts, []float64{float64(n[TopHalf]), float64(n[Softirq]), float64(n[Process])})
	}
	if len(m.Rows) == 0 {
		return []report.Figure{stations}, nil
	}
	places, err := report.HeatMap("places", "The steps of a reception by place, e1000",
		"Calls in all recordings of the arm. The top half answers the interrupt and schedules the poll. All else is later: up to the socket in the softirq, the copy to user memory in the process.", m)
	return []report.Figure{stations, places}, err
}

// lanes are the places of each arm that is not empty.
func lanes(all []Evidence) (lanes []report.Lane) {
	notes := map[Place]Step{TopHalf: handlerStep, Softirq: pollStep, Thread: pollStep, Process: userStep}
	for i, e := range all {
		lane := report.Lane{Name: arms()[i]}
		calls := e.calls()
		for p := range elsewhere {
			n := e.total(p)
			if n == 0 || p == Softirq && len(pollStep.places(calls)) == 1 && pollStep.places(calls)[0] == Thread {
				continue
			}
			value := "IP, TCP"
			if names := notes[p].in(p, calls); len(names) > 0 {
				value = short(names[0])
			}
			lane.Hops = append(lane.Hops, report.Hop{Label: p.String(), Value: value, Note: fmt.Sprintf("%d calls", n/max(len(e.Receptions), 1))})
		}
		if len(lane.Hops) > 0 {
			lanes = append(lanes, lane)
		}
	}
	return lanes
}

// short fits a function's name in a box.
func short(name string) string {
	if name == "skb_copy_datagram_iter" {
		return "copy to user"
	}
	const most = 12
	if len(name) > most {
		return name[:most-1] + "…"
	}
	return name
}
