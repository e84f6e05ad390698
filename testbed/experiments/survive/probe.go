package survive

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/bed"
	"lbctl/testbed/traffic/flood"
)

// probeNet is where SYNs of nobody's connections come from, floodNet where floods do. Replicas know no way there.
func probeNet() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{12}), 8) }

func floodNet() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{11}), 8) }

// probe sends SYNs, lets the changes be made, and sends the same SYNs again, as a client whose
// first one was not answered: to the services that remember every flow that starts.
func (st *step) probe(ctx context.Context, change func(context.Context) error) error {
	parts := slices.DeleteFunc(slices.Clone(st.parts), func(p *part) bool { return !p.before.records() })
	if len(parts) == 0 {
		return change(ctx)
	}
	var vips []netip.AddrPort
	for _, p := range parts {
		vips = append(vips, p.service.VIP.Address)
	}
	syns, err := st.newProbes(st.pool(), vips)
	if err != nil {
		return err
	}
	defer syns.close()
	captures, err := st.stage.Captured(syns.to.from, syns.to.to, func() error {
		if err := syns.send(ctx); err != nil {
			return err
		}
		if err := change(ctx); err != nil {
			return err
		}
		return syns.send(ctx)
	})
	if err != nil {
		return err
	}
	for i, f := range syns.flows {
		st.findings.probes.enter(seen(captures, f, 2), serving(parts[i%len(parts)], f))
	}
	return nil
}

// probes are SYNs that are sent more than once, to services of some replicas.
type probes struct {
	run    *run
	to     span
	sender *flood.Sender
	vips   uint64
	first  uint64
	flows  []packet.Flow
}

// newProbes makes SYNs of new flows, to several VIPs in turns.
func (r *run) newProbes(to span, vips []netip.AddrPort) (*probes, error) {
	sender, err := r.stage.Flood(flood.Config{To: vips, From: probeNet(), Flags: packet.SYN})
	if err != nil {
		return nil, err
	}
	p := &probes{run: r, to: to, sender: sender, vips: uint64(len(vips))}
	p.renew()
	return p, nil
}

// renew takes flows that were not used yet. As many go to each VIP, and the first to the first one.
func (p *probes) renew() {
	p.first = (p.run.probed/p.vips + 1) * p.vips
	p.flows = nil
	for i := range uint64(p.run.probes) * p.vips {
		p.flows = append(p.flows, p.sender.Flow(p.first+i))
	}
	p.run.probed = p.first + uint64(len(p.flows))
}

// send sends all and waits until as many packets came to the replicas.
func (p *probes) send(ctx context.Context) error {
	before, err := p.run.taken(p.to)
	if err != nil {
		return err
	}
	if err := p.sender.Send(ctx, p.first, uint64(len(p.flows))); err != nil {
		return err
	}
	return p.run.await(ctx, 2*time.Second, func() (bool, error) {
		now, err := p.run.taken(p.to)
		return now.Taken >= before.Taken+uint64(len(p.flows)), err
	})
}

// close frees the sender. There is nothing that could be done about an error.
func (p *probes) close() { _ = p.sender.Close() }

// sighting is where the packets of a flow came to.
type sighting struct {
	replicas []int
	packets  uint64
	// whole tells whether all packets were seen that were sent, and the captures missed none.
	whole bool
}

// seen looks a flow up that had a number of packets.
func seen(captures []bed.Capture, f packet.Flow, packets uint64) (s sighting) {
	s.whole = true
	for i, c := range captures {
		s.whole = s.whole && c.Dropped == 0
		for _, g := range c.Flows {
			if g.Flow.Source == f.Source {
				s.replicas, s.packets = append(s.replicas, i), s.packets+g.Packets
			}
		}
	}
	s.whole = s.whole && s.packets == packets
	return s
}

// serving tells whether the replica that a flow started at is still given its packets.
func serving(p *part, f packet.Flow) bool {
	state, listed := p.service.state(p.before.owner(f))
	return listed && state != lb.Down
}

// sightings are what was found of flows that sent a SYN twice.
type sightings struct {
	// flows are those whose replica serves to the end: of these astray came to a second one, and of
	// unseen ones not all packets were seen.
	flows, astray, unseen int
	// times is how often the SYN of each was sent.
	times int
}

func (s *sightings) enter(at sighting, serves bool) {
	if !serves {
		return
	}
	s.flows++
	switch {
	case len(at.replicas) > 1:
		s.astray++
	case !at.whole:
		s.unseen++
	}
}
