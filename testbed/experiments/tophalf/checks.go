package tophalf

import (
	"fmt"
	"slices"
	"strings"

	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// The checks and controls.
const (
	Whole         = "whole-reception"
	NoCopy        = "no-copy-in-top-half"
	NoAck         = "no-ack-in-top-half"
	RingStill     = "ring-still-in-top-half"
	PollInSoftirq = "poll-in-softirq"
	Masked        = "masked-until-polled"
	UserInProcess = "user-copy-in-process"

	ThreadedNAPI = "threaded-napi"
	NoDMA        = "no-dma"
)

// calls returns those of all receptions.
func (e Evidence) calls() (all []Call) {
	for _, r := range e.Receptions {
		all = append(all, r.Calls...)
	}
	return all
}

// moves adds up those of all receptions.
func (e Evidence) moves() (sum Moves) {
	for _, r := range e.Receptions {
		m := r.moves()
		sum.Interrupts += m.Interrupts
		sum.MovedInInterrupt += m.MovedInInterrupt
		sum.Polls += m.Polls
		sum.MovedInPoll += m.MovedInPoll
		sum.Packets++ // a reception is one segment
	}
	return sum
}

// join puts the evidence of several arms together.
func join(all ...Evidence) (e Evidence) {
	for _, a := range all {
		e.Receptions = append(e.Receptions, a.Receptions...)
	}
	return e
}

// checks judges receptions by drivers with DMA and polls.
func checks(e Evidence) []report.Check {
	return []report.Check{e.noCopy(), e.noAck(), e.ringStill(), e.pollInSoftirq(), e.masked(), e.userInProcess()}
}

// whole is about the recordings of all arms.
func whole(all map[string]Evidence) report.Check {
	c := report.Check{Name: Whole, Expected: 0, Detail: "Recordings that lack a part of the reception, or lost some of it."}
	broken, total := 0, 0
	for _, name := range arms() {
		for _, r := range all[name].Receptions {
			var missing []string
			for _, s := range []Step{handlerStep, ringStep, ackStep, wakeStep, userStep} {
				if len(s.places(r.Calls)) == 0 {
					missing = append(missing, s.Name)
				}
			}
			if r.Lost > 0 {
				missing = append(missing, fmt.Sprintf("%d records lost", r.Lost))
			}
			if len(missing) > 0 {
				c.Detail += fmt.Sprintf(" %s: %s.", name, strings.Join(missing, ", "))
			}
			broken, total = broken+experiment.One(len(missing) > 0), total+1
		}
	}
	c.Measured, c.Pass = broken, broken == 0 && total > 0
	c.Detail += fmt.Sprintf(" Of %d.", total)
	return c
}

// arms returns the names of all arms in order.
func arms() []string { return []string{armE1000, armVirtio, armThreaded, armNE2000} }

func (e Evidence) noCopy() report.Check {
	names := copyStep.in(TopHalf, e.calls())
	return report.Check{
		Name: NoCopy, Measured: len(names), Expected: 0, Pass: len(names) == 0 && len(e.Receptions) > 0,
		Detail: fmt.Sprintf("Functions that copy among the %s calls in the top half.%s", report.Cell(e.total(TopHalf)), experiment.But("They are", names)),
	}
}

func (e Evidence) noAck() report.Check {
	n := ackStep.count(e.calls())
	elsewhere := n[Softirq] + n[Thread] + n[Process]
	return report.Check{
		Name: NoAck, Measured: n[TopHalf], Expected: 0, Pass: n[TopHalf] == 0 && elsewhere > 0,
		Detail: fmt.Sprintf("Acknowledgements sent in the top half; %d were sent elsewhere: %s.", elsewhere, list(ackStep.places(e.calls()))),
	}
}

func (e Evidence) ringStill() report.Check {
	m := e.moves()
	return report.Check{
		Name: RingStill, Measured: fmt.Sprintf("%d of %d", m.MovedInInterrupt, m.Interrupts), Expected: fmt.Sprintf("0 of %d", m.Interrupts),
		Pass: m.Interrupts > 0 && m.MovedInInterrupt == 0 && m.MovedInPoll >= m.Packets,
		Detail: fmt.Sprintf("Interrupts during which the driver's place in the ring or the NIC's tail moved. They moved in %d of %d polls, of %d packets.",
			m.MovedInPoll, m.Polls, m.Packets),
	}
}

func (e Evidence) pollInSoftirq() report.Check {
	found := pollStep.places(e.calls())
	return report.Check{
		Name: PollInSoftirq, Measured: list(found), Expected: Softirq.String(), Pass: slices.Equal(found, []Place{Softirq}),
		Detail: fmt.Sprintf("Where the driver's poll ran, %d times.", sum(pollStep.count(e.calls()))),
	}
}

func (e Evidence) masked() report.Check {
	early, interrupts := 0, 0
	for _, r := range e.Receptions {
		early, interrupts = early+r.Early, interrupts+r.Interrupts
	}
	return report.Check{
		Name: Masked, Measured: early, Expected: 0, Pass: early == 0 && interrupts > 0,
		Detail: fmt.Sprintf("Of %d interrupts of the NIC, those between the scheduling of its poll and the end of the poll, during which the acknowledgement was sent and could have raised one.", interrupts),
	}
}

func (e Evidence) userInProcess() report.Check {
	found := userStep.places(e.calls())
	return report.Check{
		Name: UserInProcess, Measured: list(found), Expected: Process.String(), Pass: slices.Equal(found, []Place{Process}),
		Detail: "Where the bytes were copied to the reader's memory: within its read(2).",
	}
}

// controls breaks two of the checks.
func controls(threaded, ne2000 Evidence) []report.Check {
	still := ne2000.ringStill()
	return []report.Check{
		experiment.MustFail(ThreadedNAPI, "With /sys/class/net/NIC/threaded the same poll runs in a thread of the kernel, which the scheduler can preempt and move.", threaded.pollInSoftirq()),
		experiment.Flips(report.Check{
			Name: NoDMA, Measured: fmt.Sprintf("copies %d, ring %v", ne2000.noCopy().Measured, still.Measured), Expected: "not 0, not 0", Pass: true,
			Detail: "The NE2000 has a ring in its own memory and no DMA. Its driver reads the packet byte by byte and moves the ring's pointer in the handler.",
		}, ne2000.noCopy(), still),
	}
}

// total counts the calls in a place.
func (e Evidence) total(p Place) (n int) {
	for _, c := range e.calls() {
		n += experiment.One(c.Place == p)
	}
	return n
}

func sum(n [elsewhere]int) (total int) {
	for _, v := range n {
		total += v
	}
	return total
}

// list names places for a reader.
func list(all []Place) string {
	if len(all) == 0 {
		return "nowhere"
	}
	var names []string
	for _, p := range all {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}
