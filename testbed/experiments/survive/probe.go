package survive

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/traffic/flood"
)

// probeNet is the source network of probes, floodNet that of floods. Replicas have no route to either, so they do not answer.
func probeNet() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{12}), 8) }

func floodNet() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{11}), 8) }

// probe sends SYNs to the services that remember every new flow, makes the changes, and sends the same SYNs again, as a
// client does whose first SYN was not answered.
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
	captures, err := st.cluster.Captured(syns.to.from, syns.to.to, func() error {
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
	to     replicaRange
	sender *flood.Sender
	vips   uint64
	first  uint64
	flows  []packet.Flow
}

// newProbes makes SYNs of new flows to several VIPs.
func (r *run) newProbes(to replicaRange, vips []netip.AddrPort) (*probes, error) {
	sender, err := r.cluster.Flood(flood.Config{To: vips, From: probeNet(), Flags: packet.SYN})
	if err != nil {
		return nil, err
	}
	p := &probes{run: r, to: to, sender: sender, vips: uint64(len(vips))}
	p.renew()
	return p, nil
}

// renew takes flows that were not used yet, as many to each VIP. The first goes to the first VIP.
func (p *probes) renew() {
	p.first = (p.run.probed/p.vips + 1) * p.vips
	p.flows = nil
	for i := range uint64(p.run.probes) * p.vips {
		p.flows = append(p.flows, p.sender.Flow(p.first+i))
	}
	p.run.probed = p.first + uint64(len(p.flows))
}

// send sends all and waits until as many packets have arrived at the replicas.
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

// close frees the sender. Nothing can be done about an error.
func (p *probes) close() { _ = p.sender.Close() }

// sighting is where the packets of a flow arrived.
type sighting struct {
	replicas []int
	packets  uint64
	// whole tells whether all packets that were sent were seen, and the captures missed none.
	whole bool
}

// seen looks a flow up of which a number of packets was sent.
func seen(captures []cluster.Capture, f packet.Flow, packets uint64) (s sighting) {
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

// serving tells whether the replica where a flow started still gets its packets.
func serving(p *part, f packet.Flow) bool {
	state, listed := p.service.state(p.before.owner(f))
	return listed && state != lb.Down
}

// sightings count flows that sent a SYN more than once.
type sightings struct {
	// flows are those whose replica serves to the end. Of these, misplaced ones reached a second replica, and
	// not all packets of unseen ones were seen.
	flows, misplaced, unseen int
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
		s.misplaced++
	case !at.whole:
		s.unseen++
	}
}
