package spread

import (
	"fmt"
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/report"
)

// nothingLost demands that every request was answered with the right bytes, that
// the logs of clients and replicas agree, and that every packet is accounted for.
func (t tally) nothingLost() report.Check {
	right, first := t.answered()
	var faults []string
	gap(&faults, t.Wanted-right, "requests were not answered rightly"+first)
	gap(&faults, len(t.Requests)-t.Wanted, "more lines in the clients' log than requests to be made")
	gap(&faults, t.disagreements(), "answers are in one log and not in the other")
	faults = append(faults, t.accounting()...)
	gap(&faults, int(t.captureDrops()), "packets were dropped by the captures")
	gap(&faults, int(t.Missed), "packets were missed by the kernel's observer")
	return report.Check{
		Name: NothingLost, Measured: right, Expected: t.Wanted,
		Pass:   right == t.Wanted && t.Wanted > 0 && len(faults) == 0,
		Detail: t.account(right) + butFaults(faults),
	}
}

// answered counts requests with the right answer, and quotes the first other one.
func (t tally) answered() (right int, first string) {
	for _, r := range t.Requests {
		switch {
		case r.Err == "" && r.Status == 200:
			right++
		case first == "":
			first = fmt.Sprintf(" (the first: connection %d, object %d: status %d, %s)", r.Connection, r.Object, r.Status, r.Err)
		}
	}
	return right, first
}

// disagreements counts answers of status 200 that only the clients' log or only the replicas' logs have.
func (t tally) disagreements() int {
	type answer struct {
		client netip.AddrPort
		object int
		at     int
	}
	balance := map[answer]int{}
	for _, r := range t.Requests {
		if r.Status == 200 {
			balance[answer{r.Flow.Source, r.Object, r.Replica}]++
		}
	}
	for i, log := range t.Access {
		for _, a := range log {
			if a.Status == 200 {
				balance[answer{a.Flow.Source, a.Object, i}]--
			}
		}
	}
	n := 0
	for _, d := range balance {
		n += max(d, -d)
	}
	return n
}

// sums are packets, counted in different places.
type sums struct {
	// reasons is what the load balancer counted; towards and back what it sent.
	reasons, towards, back uint64
	// observed came to the NIC for the VIP; arrived and answered were captured at the replicas.
	observed, arrived, answered uint64
}

func (t tally) sums() sums {
	s := sums{back: t.Reasons[lb.Returned], towards: t.Reasons[lb.Forwarded]}
	for _, n := range t.Reasons {
		s.reasons += n
	}
	for _, f := range t.Observed {
		if f.Flow.Destination == t.VIP && f.Flow.Protocol == packet.TCP {
			s.observed += f.Packets
		}
	}
	for i, capture := range t.Captures {
		for _, f := range capture.Flows {
			switch t.Replicas[i] {
			case f.Flow.Destination:
				s.arrived += f.Packets
			case f.Flow.Source:
				s.answered += f.Packets
			}
		}
	}
	return s
}

// accounting returns what does not add up. A packet whose neighbour was missing is
// sent by the kernel, so it is captured too. A packet that the load balancer sent and a link dropped
// is accounted for: TCP sends it again, and the bytes are right.
func (t tally) accounting() []string {
	s := t.sums()
	missing := t.Reasons[lb.NeighbourMissing] + t.Reasons[lb.TooBigPassed] + t.Reasons[lb.SuperPacketPassed]
	var faults []string
	unequal := func(a uint64, what string, b uint64, than string) {
		if a != b {
			faults = append(faults, fmt.Sprintf("%s packets %s, %s %s", report.Cell(a), what, report.Cell(b), than))
		}
	}
	unequal(s.reasons, "over all reasons", t.Seen, "came to the interfaces")
	unequal(s.towards+s.back+missing, "sent on", s.arrived+t.LinkDropped+s.answered, "captured at the replicas or dropped by their links")
	if missing == 0 {
		unequal(s.towards, "forwarded", s.arrived+t.LinkDropped, "captured on their way to the replicas or dropped by links")
		unequal(s.towards, "forwarded", s.observed, "observed on the NIC")
	}
	for _, reason := range []lb.Reason{
		lb.MalformedEthernet, lb.MalformedIP, lb.MalformedL4, lb.NoReplica, lb.NoRoute, lb.TooBig,
		lb.SuperPacket, lb.TunnelTooNarrow, lb.MartianSource, lb.VIPNoService, lb.RejectLimited, lb.SourceDenied, lb.RateLimitedFlows, lb.RateLimitedPackets, lb.PortTaken, lb.NoHeadroom, lb.TableFault,
	} {
		gap(&faults, int(t.Reasons[reason]), "packets dropped as "+string(reason))
	}
	if s.observed == 0 {
		faults = append(faults, "no packet was observed on the NIC")
	}
	return faults
}

// account is the bookkeeping in a sentence.
func (t tally) account(right int) string {
	s := t.sums()
	dropped := ""
	if t.LinkDropped > 0 {
		dropped = fmt.Sprintf(", %s found a link's queue full", report.Cell(t.LinkDropped))
	}
	return fmt.Sprintf("%s of %s requests were answered with the right bytes. %s packets over all reasons, %s came to the interfaces; %s forwarded, %s arrived at the replicas%s; %s came back, %s were returned.",
		report.Cell(right), report.Cell(t.Wanted), report.Cell(s.reasons), report.Cell(t.Seen),
		report.Cell(s.towards), report.Cell(s.arrived), dropped, report.Cell(s.answered), report.Cell(s.back))
}

func butFaults(faults []string) string {
	text := ""
	for _, f := range faults {
		text += " But " + f + "."
	}
	return text
}
