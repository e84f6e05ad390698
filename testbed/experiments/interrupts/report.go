package interrupts

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"lbctl/rss/sim"
	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	e := d.evidence
	r.Noise = measure.Describe(e.paced.Noise())
	r.Check(e.checks()...)
	r.Control(e.controls()...)
	r.Table(
		costTable("what a packet costs, each sent after the answer to the one before it", e.conversation),
		costTable(fmt.Sprintf("the same with pauses of %v", pause), e.light),
		e.sweepTable(), e.idleTable(), d.machineTable(),
	)
	e.answer(r)
	figures, err := e.figures()
	r.Figure(figures...)
	return err
}

// predictions are what a student is asked.
func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: "interrupts-plain", Unit: "a packet", Tolerance: 0.1, Question: "Packets come one at a time to a virtio-net as Linux sets it up. How many interrupts does the NIC raise for each?"},
		{Name: "interrupts-polling", Unit: "a packet", Tolerance: 0.1, Question: "How many, if the receiver polls the NIC itself (SO_PREFER_BUSY_POLL)?"},
		{Name: "idle-polling", Unit: "of a core", Tolerance: 0.1, Question: "What share of a core does that receiver use while no packet comes?"},
		{Name: "deferral-helps-light", Kind: experiment.YesNo, Question: "Packets come with long pauses between them. Does deferring interrupts at least halve their number?"},
		{Name: "model-goodput-overload", Unit: "% of the best", Tolerance: 10, Question: "A system does all of a packet's work in its interrupt (a model: an interrupt takes 2 us, the kernel 1 us for a packet, the application 2 us). Packets come at six times the rate that its core could process without interrupts. How much does the application finish, in percent of its best at any load?"},
	}
}

// answer enters the headline, and what the predictions are held against.
func (e evidence) answer(r *experiment.Run) {
	c := e.conversation
	m := e.moderation("")
	r.Headline("Interrupts for each packet, sent one at a time: %s of virtio-net, %s deferred, %s if the receiver polls, which takes %s of a core when nothing comes. Moderation leaves an e1000 %s of its interrupts at %d packets/s, and with pauses between packets %s.",
		number(c[plain].interrupts()), number(c[deferred].interrupts()), number(c[busy].interrupts()), number(e.idle[busy].used()),
		number(m.Value), pacedRate, number(e.moderation(lightly).Value))
	q := func(name string, v float64, unit string) report.Quantity {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return report.Quantity{Name: name, Unit: unit}
		}
		return report.Quantity{Name: name, Value: v, Unit: unit}
	}
	best, last := 0.0, 0.0
	for _, g := range e.model[sim.ModeInterrupt] {
		best, last = max(best, g.Finished), g.Finished
	}
	r.Quantity(
		q("interrupts-plain", c[plain].interrupts(), "a packet"), q("interrupts-polling", c[busy].interrupts(), "a packet"),
		q("idle-polling", e.idle[busy].used(), "of a core"),
		report.Quantity{Name: "deferral-helps-light", Value: e.deferralSaves(e.light).Pass},
		q("model-goodput-overload", 100*last/best, "% of the best"),
	)
}

// costTable has a line for each set-up.
func costTable(name string, of map[string]Turn) report.Table {
	t := report.Table{Name: name, Columns: []string{"set-up", "packets", "interrupts a packet", "timer interrupts a packet", "softirqs a packet", "voluntary switches a packet", "involuntary", "receiver's time a packet, us (emulated)"}}
	for _, a := range arms() {
		m := of[a.name]
		t.Rows = append(t.Rows, []any{
			a.name, m.Finished, number(m.interrupts()), number(perPacket(m.Timer, m)), number(m.softirqs()), number(m.waits()),
			number(perPacket(m.Involuntary, m)), number(float64(m.Ran.Microseconds()) / float64(m.Finished)),
		})
	}
	return t
}

// sweepTable has a line for each set-up and rate.
func (e evidence) sweepTable() report.Table {
	t := report.Table{
		Name:    "rising load: rates as the host sent, counts for each packet that arrived; useful is the share of arrived packets that the receiver finished, user the share of its time outside of the kernel (in ticks of 10 ms)",
		Columns: []string{"set-up", "packets/s", "sent", "arrived", "no room in the socket", "finished", "interrupts", "softirqs", "voluntary switches", "useful, %", "user, %"},
	}
	for _, a := range arms() {
		for _, m := range e.sweep[a.name] {
			t.Rows = append(t.Rows, []any{
				a.name, math.Round(m.rate()), m.Sent, m.Arrived, m.Overflowed, m.Finished,
				number(m.arrivedFor(m.Interrupts)), number(m.arrivedFor(m.Softirqs)), number(m.arrivedFor(m.Voluntary)),
				number(100 * m.arrivedFor(m.Finished)), number(100 * float64(m.User) / float64(m.Ran)),
			})
		}
	}
	return t
}

// idleTable is about receivers that get nothing.
func (e evidence) idleTable() report.Table {
	t := report.Table{Name: "a receiver to which nothing comes", Columns: []string{"set-up", "share of a core", "interrupts of the NIC", "voluntary switches"}}
	for _, a := range arms() {
		m := e.idle[a.name]
		t.Rows = append(t.Rows, []any{a.name, number(m.used()), m.Interrupts, m.Voluntary})
	}
	return t
}

// machineTable says what received.
func (d *design) machineTable() report.Table {
	m := d.generator.machine
	costs := modelCosts()
	return report.Table{Name: "the machine, and the model", Columns: []string{"what", "which"}, Rows: [][]any{
		{"emulator", m.Version()},
		{"guest's kernel", m.Kernel()},
		{"NICs", "QEMU's e1000-82545em and virtio-net-pci; answers leave by a second virtio-net-pci, whose polls are in a thread, so that they count nowhere"},
		{"moderation", fmt.Sprintf("rx-usecs %d", interval.Microseconds())},
		{"deferral", fmt.Sprintf("napi_defer_hard_irqs 1, gro_flush_timeout %v", interval)},
		{"busy polling", fmt.Sprintf("SO_BUSY_POLL, SO_PREFER_BUSY_POLL, SO_BUSY_POLL_BUDGET %d, calls that do not wait", budget)},
		{"the model's costs", fmt.Sprintf("interrupt %v, kernel's work on a packet %v, application's %v", costs.Interrupt, costs.Packet, costs.Application)},
	}}
}

// figures draws interrupts over load in the guest, and the model's goodput.
func (e evidence) figures() ([]report.Figure, error) {
	counted := report.Chart{X: report.Axis{Label: "packets/s that the host sends", Log: true}, Y: report.Axis{Label: "interrupts for each packet that arrives"}}
	for _, a := range arms() {
		if a.name == threaded {
			continue // its interrupts are those of virtio-net
		}
		s := report.Series{Name: a.name}
		for _, m := range e.sweep[a.name] {
			s.Points = append(s.Points, report.Point{X: m.rate(), Y: m.arrivedFor(m.Interrupts)})
		}
		slices.SortFunc(s.Points, func(a, b report.Point) int { return cmp.Compare(a.X, b.X) })
		counted.Series = append(counted.Series, s)
	}
	interrupts, err := report.Lines("interrupts", "Interrupts for each packet as the load grows",
		"Counted in the guest. Without batching a packet costs an interrupt, until packets come faster than the processor takes them: then polls that go on (NAPI) batch by themselves, and the NIC stays masked. Moderation and deferral batch earlier. A receiver that polls needs no interrupts at any load.", counted)
	if err != nil {
		return nil, err
	}
	modelChart := report.Chart{X: report.Axis{Label: "offered load, of the core's capacity"}, Y: report.Axis{Label: "finished, of the capacity"}}
	names := map[sim.Mode]string{sim.ModeInterrupt: "interrupt per packet", sim.ModeNAPI: "softirq polls", sim.ModeThreaded: "thread polls", sim.ModeBusyPoll: "application polls"}
	for _, mode := range modelled() {
		s := report.Series{Name: names[mode]}
		for _, g := range e.model[mode] {
			s.Points = append(s.Points, report.Point{X: g.Load, Y: g.Finished})
		}
		modelChart.Series = append(modelChart.Series, s)
	}
	livelock, err := report.Lines("livelock", "A model: receive livelock and its cure",
		"A simulation, not a measurement (lbctl rss simulate has more of it): a core under Poisson arrivals. With an interrupt for each packet that does its work, more load leaves less time to the application, in the end none: the core works on packets that nobody reads. Polls in a softirq go before the application, too, and starve it the more the nearer the packets come to filling the core; beyond that ksoftirqd does them, which has to share. Polls in a thread share from the first packet. An application that polls takes only what it can finish.", modelChart)
	return []report.Figure{interrupts, livelock}, err
}
