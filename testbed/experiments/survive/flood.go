package survive

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/traffic/flood"
)

// floodSteps is how much of the progress bar a flood is.
const floodSteps = 20

// flooding is what was found of a flood.
type flooding struct {
	finding
	// untracked is about the service that remembers no flows. It is changed in the same ways and not flooded.
	untracked finding
	sent      uint64
	changes   int
	// other is what was found of new connections to the service other.
	other visit
}

// playSYNFlood floods with SYNs. Flows that had started before, and were not established, are looked at too: of those
// of the flooded service the flood may take the place, of those of another it must not.
func (r *run) playSYNFlood(ctx context.Context) error {
	flooded, err := r.startFlows(ctx, r.pool(), r.services[len(r.services)-1])
	if err != nil {
		return err
	}
	defer flooded.probes.close()
	if err := r.reseedSink(ctx); err != nil { // from here on it remembers every flow that starts
		return err
	}
	neighbours, err := r.startFlows(ctx, r.sunk(), r.sink)
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
	// Another seed: what is not remembered will hardly start at the same replica again.
	st := r.newStep([]*service{flooded.part.service}, []kind{reseed})
	if err := st.play(ctx, simply); err != nil {
		return err
	}
	r.findings.syn.finding = r.findings.syn.plus(st.parts[0].found)
	err = flooded.again(ctx)
	r.findings.embryos, r.findings.neighbours = flooded.sightings(), neighbours.sightings()
	return err
}

// simply makes changes without more ado.
func simply(ctx context.Context, change func(context.Context) error) error { return change(ctx) }

// playACKFlood floods with ACKs.
func (r *run) playACKFlood(ctx context.Context) (err error) {
	r.findings.ack, err = r.flood(ctx, "ACK", packet.ACK, r.acks, func(context.Context) error { return nil })
	return err
}

// flood sends frames of so many sources to all services that are changed and remember flows. The sources of an ACK flood are
// those of the SYN flood: what that has let start, an ACK establishes. Meanwhile the services are
// changed, their connections are asked, another service is visited, and something is done after each change,
// until all is sent.
func (r *run) flood(ctx context.Context, what string, flags packet.TCPFlags, sources int, after func(context.Context) error) (found flooding, err error) {
	var vips []netip.AddrPort
	for _, s := range r.services {
		vips = append(vips, s.VIP.Address)
	}
	before, err := r.taken(r.pool())
	if err != nil {
		return found, err
	}
	sender, err := r.stage.Flood(flood.Config{To: vips, From: floodNet(), Flags: flags})
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
	arrived, err := r.settle(ctx, r.pool())
	r.rows.floods = append(r.rows.floods, []any{what, found.sent, seconds(took), math.Round(float64(found.sent) / took.Seconds()),
		arrived.Taken - before.Taken, arrived.Dropped - before.Dropped, found.changes, rounds, found.asked, found.lost(), found.opened, found.refused, found.amid, found.pushed})
	r.rows.others = append(r.rows.others, found.other.row(what+" flood"))
	r.advance(floodSteps)
	return found, err
}

// during changes services and asks their connections until all is sent, at least once.
func (r *run) during(ctx context.Context, sent <-chan error, found *flooding, after func(context.Context) error) (rounds int, err error) {
	for {
		st := r.newStep(r.changed(), harmless())
		if err := st.play(ctx, simply); err != nil {
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

// enter takes note of what was found of a service during the flood.
func (f *flooding) enter(p *part, untracked *service) {
	f.changes += len(p.changes)
	if p.service == untracked {
		f.untracked = f.untracked.plus(p.found)
		return
	}
	f.finding = f.finding.plus(p.found)
}
