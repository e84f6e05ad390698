package survive

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"slices"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/traffic/flood"
)

// floodSteps is the share of a flood in the progress bar.
const floodSteps = 20

// flooding is what was found during a flood.
type flooding struct {
	finding
	// untracked is about the service that remembers no flows. It is changed in the same ways and not flooded.
	untracked finding
	sent      uint64
	changes   int
	// other is what became of new connections to the service other.
	other visit
}

// runSYNFlood floods with SYNs. It also watches flows that were half-open before: the flood may evict those of the flooded
// service, and must not evict those of another.
func (r *run) runSYNFlood(ctx context.Context) error {
	flooded, err := r.openHalf(ctx, r.pool(), r.services[len(r.services)-1])
	if err != nil {
		return err
	}
	defer flooded.probes.close()
	if err := r.reseedSink(ctx); err != nil { // from here on sink remembers every new flow
		return err
	}
	neighbours, err := r.openHalf(ctx, r.sunk(), r.sink)
	if err != nil {
		return err
	}
	defer neighbours.probes.close()
	r.flooded.from = time.Now()
	r.findings.syn, err = r.flood(ctx, "SYN", packet.SYN, r.syns, func(ctx context.Context) error {
		return errors.Join(r.reseedSink(ctx), neighbours.again(ctx))
	})
	if err != nil {
		return err
	}
	r.flooded.to = time.Now()
	// With another seed a flow that is not remembered hardly ever starts at the same replica again.
	st := r.newStep([]*service{flooded.part.service}, []kind{reseed})
	if err := st.do(ctx, simply); err != nil {
		return err
	}
	r.findings.syn.finding = r.findings.syn.plus(st.parts[0].found)
	err = flooded.again(ctx)
	r.findings.halfOpen, r.findings.neighbours = flooded.sightings(), neighbours.sightings()
	return err
}

// simply makes the changes and nothing else.
func simply(ctx context.Context, change func(context.Context) error) error { return change(ctx) }

// runACKFlood floods with ACKs.
func (r *run) runACKFlood(ctx context.Context) (err error) {
	r.findings.ack, err = r.flood(ctx, "ACK", packet.ACK, r.acks, func(context.Context) error { return nil })
	return err
}

// flood sends frames of a number of sources to all services that are changed and remember flows. An ACK flood has the sources
// of the SYN flood: an ACK establishes a half-open flow. Until all is sent the services are changed, their connections
// send messages, clients open connections to another service, and after is called after each round of changes.
func (r *run) flood(ctx context.Context, what string, flags packet.TCPFlags, sources int, after func(context.Context) error) (found flooding, err error) {
	var vips []netip.AddrPort
	for _, s := range r.services {
		vips = append(vips, s.VIP.Address)
	}
	before, err := r.taken(r.pool())
	if err != nil {
		return found, err
	}
	sender, err := r.cluster.Flood(flood.Config{To: vips, From: floodNet(), Flags: flags})
	if err != nil {
		return found, err
	}
	defer sender.Close()
	visits := r.visit(ctx)
	start := time.Now()
	sent := make(chan error, 1)
	sending, end := context.WithCancel(ctx)
	defer end()
	go func() { sent <- sender.Send(sending, 0, uint64(sources)); close(sent) }()
	rounds, err := r.during(ctx, sent, &found, after)
	took := time.Since(start)
	end()
	<-sent
	found.other = visits.end()
	found.sent = sender.Sent()
	if err = errors.Join(err, found.other.err); err != nil {
		return found, err
	}
	arrived, err := r.awaitQuiet(ctx, r.pool())
	r.rows.floods = append(r.rows.floods, []any{what, found.sent, seconds(took), math.Round(float64(found.sent) / took.Seconds()),
		arrived.Taken - before.Taken, arrived.Dropped - before.Dropped, found.changes, rounds, found.asked, found.lost(), found.opened, found.refused, found.openedInFlood, found.evicted})
	r.rows.others = append(r.rows.others, found.other.row(what+" flood"))
	return found, err
}

// during changes the services and has their connections send messages until all is sent, at least once. The service that
// remembers no flows gets another seed each time: that moves most of its connections, where other changes may move none of
// so few.
func (r *run) during(ctx context.Context, sent <-chan error, found *flooding, after func(context.Context) error) (rounds int, err error) {
	for {
		st := r.newStep(r.services, harmless())
		st.parts = append(st.parts, r.newStep([]*service{r.untracked}, []kind{reseed}).parts...)
		if err := st.do(ctx, simply); err != nil {
			return rounds, err
		}
		rounds++
		for _, p := range st.parts {
			found.enter(p, r.untracked)
		}
		if err := after(ctx); err != nil {
			return rounds, err
		}
		select {
		case err := <-sent:
			return rounds, err
		default:
		}
	}
}

// enter records what was found of a service during the flood.
func (f *flooding) enter(p *part, untracked *service) {
	f.changes += len(p.changes)
	if p.service == untracked {
		f.untracked = f.untracked.plus(p.found)
		return
	}
	f.finding = f.finding.plus(p.found)
}

// halfOpenFlows are half-open flows of a service: they send their SYN again and again, and nothing else.
type halfOpenFlows struct {
	run    *run
	probes *probes
	part   *part
	at     []sighting
	// times is how often all SYNs were sent.
	times int
}

// openHalf makes half-open flows at a service of some replicas.
func (r *run) openHalf(ctx context.Context, to replicaRange, s *service) (*halfOpenFlows, error) {
	probes, err := r.newProbes(to, []netip.AddrPort{s.VIP.Address})
	if err != nil {
		return nil, err
	}
	e := &halfOpenFlows{run: r, probes: probes, part: &part{service: s, before: s.snapshot()}}
	if err := e.again(ctx); err != nil {
		probes.close()
		return nil, err
	}
	return e, nil
}

// again sends the SYN of each flow and records where it arrived.
func (e *halfOpenFlows) again(ctx context.Context) error {
	to := e.probes.to
	captures, err := e.run.cluster.Captured(to.from, to.to, func() error { return e.probes.send(ctx) })
	if err != nil {
		return err
	}
	e.times++
	for i, f := range e.probes.flows {
		now := seen(captures, f, 1)
		if e.times == 1 {
			e.at = append(e.at, now)
			continue
		}
		e.at[i] = sighting{replicas: union(e.at[i].replicas, now.replicas), whole: e.at[i].whole && now.whole}
	}
	return nil
}

// sightings counts the flows that reached a second replica.
func (e *halfOpenFlows) sightings() (s sightings) {
	for i, f := range e.probes.flows {
		s.enter(e.at[i], serving(e.part, f))
	}
	s.times = e.times
	return s
}

// union returns the numbers that are in a or b, once each.
func union(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// reseedSink gives sink's hash another seed.
func (r *run) reseedSink(ctx context.Context) error {
	s := r.sink.Clone()
	s.Seed += 1 + uint32(r.random.IntN(1<<16))
	return r.setSink(ctx, s)
}
