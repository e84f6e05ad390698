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
	sent    uint64
	changes int
	// other is what was found of new connections to the service other.
	other visit
}

// playSYNFlood floods with SYNs. Flows that had started before, and were not established, are looked at too: of
// those the flood may take the place.
func (r *run) playSYNFlood(ctx context.Context) error {
	started, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer started.probes.close()
	if r.findings.syn, err = r.flood(ctx, "SYN", packet.SYN, r.syns); err != nil {
		return err
	}
	// Another seed: what is not remembered will hardly start at the same replica again.
	st := r.newStep([]*service{started.part.service}, []kind{reseed})
	if err := st.play(ctx, simply); err != nil {
		return err
	}
	r.findings.syn.finding = r.findings.syn.plus(st.parts[0].found)
	return started.look(ctx)
}

// simply makes changes without more ado.
func simply(ctx context.Context, change func(context.Context) error) error { return change(ctx) }

// playACKFlood floods with ACKs.
func (r *run) playACKFlood(ctx context.Context) (err error) {
	r.findings.ack, err = r.flood(ctx, "ACK", packet.ACK, r.acks)
	return err
}

// flood sends frames of so many sources to all services that are changed and remember flows. The sources of an ACK flood are
// those of the SYN flood: what that has let start, an ACK establishes. Meanwhile the services are
// changed, their connections are asked, and another service is visited, until all is sent.
func (r *run) flood(ctx context.Context, what string, flags packet.TCPFlags, sources int) (found flooding, err error) {
	var vips []netip.AddrPort
	for _, s := range r.services {
		vips = append(vips, s.VIP.Address)
	}
	before, err := r.taken(0, r.replicas)
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
	ctx, end := context.WithCancel(ctx)
	defer end()
	go func() { sent <- sender.Send(ctx, 0, uint64(sources)) }()
	rounds, err := r.during(ctx, sent, &found)
	took := time.Since(start)
	found.other = visits.end()
	found.sent = sender.Sent()
	if err = errors.Join(err, found.other.err); err != nil {
		return found, err
	}
	after, err := r.settle(ctx, 0, r.replicas)
	r.rows.floods = append(r.rows.floods, []any{what, found.sent, seconds(took), math.Round(float64(found.sent) / took.Seconds()),
		after.Taken - before.Taken, after.Dropped - before.Dropped, found.changes, rounds, found.asked, found.lost()})
	r.rows.others = append(r.rows.others, found.other.row(what+" flood"))
	r.advance(floodSteps)
	return found, err
}

// during changes services and asks their connections until all is sent, at least once.
func (r *run) during(ctx context.Context, sent <-chan error, found *flooding) (rounds int, err error) {
	for {
		st := r.newStep(r.services, harmless())
		if err := st.play(ctx, simply); err != nil {
			return rounds, err
		}
		rounds++
		for _, p := range st.parts {
			found.finding = found.finding.plus(p.found)
			found.changes += len(p.changes)
		}
		select {
		case err := <-sent:
			return rounds, err
		default:
		}
	}
}

// embryos are flows that have started before the flood.
type embryos struct {
	run    *run
	probes *probes
	part   *part
	at     []sighting
}

// begin lets flows start at the service that remembers every one.
func (r *run) begin(ctx context.Context) (*embryos, error) {
	s := r.services[len(r.services)-1]
	e := &embryos{run: r, part: &part{service: s, before: s.snapshot()}}
	var err error
	if e.probes, err = r.newProbes([]netip.AddrPort{s.VIP.Address}); err != nil {
		return nil, err
	}
	e.at, err = e.send(ctx)
	return e, err
}

// send sends the SYN of each and says where it came to.
func (e *embryos) send(ctx context.Context) ([]sighting, error) {
	captures, err := e.run.stage.Captured(e.run.replicas, func() error { return e.probes.send(ctx) })
	var at []sighting
	for _, f := range e.probes.flows {
		at = append(at, seen(captures, f, 1))
	}
	return at, err
}

// look lets the same flows start again, and counts those that come to another replica.
func (e *embryos) look(ctx context.Context) error {
	again, err := e.send(ctx)
	for i, f := range e.probes.flows {
		both := sighting{replicas: union(e.at[i].replicas, again[i].replicas), whole: e.at[i].whole && again[i].whole}
		e.run.findings.embryos.enter(both, serving(e.part, f))
	}
	return err
}

// union returns the numbers that are in a or b, once each.
func union(a, b []int) (all []int) {
	seen := map[int]bool{}
	for _, list := range [][]int{a, b} {
		for _, n := range list {
			if !seen[n] {
				seen[n] = true
				all = append(all, n)
			}
		}
	}
	return all
}

// seconds writes a time with the digits that matter.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}
