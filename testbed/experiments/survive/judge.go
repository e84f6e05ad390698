package survive

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/experiment"
	"lbctl/testbed/traffic/hold"
)

// do makes a step's changes and finds out what became of the connections. around is called with
// the function that makes the changes, so that it can do something before and after them.
func (st *step) do(ctx context.Context, around func(ctx context.Context, change func(context.Context) error) error) error {
	if err := st.finish(); err != nil {
		return err
	}
	if err := around(ctx, st.apply); err != nil {
		return err
	}
	if err := st.round(st.parts); err != nil {
		return err
	}
	if err := st.open(); err != nil {
		return err
	}
	passed, err := st.passDeadlines(ctx)
	if err != nil || !passed {
		return err
	}
	return st.round(st.parts)
}

// finish closes the connections of replicas whose drain is finished.
func (st *step) finish() error {
	var o hold.Order
	for _, p := range st.parts {
		for _, i := range p.finished {
			o.Close = append(o.Close, p.service.place(i))
		}
	}
	if len(o.Close) == 0 {
		return nil
	}
	report, err := st.holders.order(o)
	st.held.enter(report, time.Now())
	return err
}

// round sends a message on every connection, except those of replicas that are down, and judges the connections of
// some services.
func (r *run) round(parts []*part) error {
	o := hold.Order{Ask: true}
	for _, s := range r.changed() {
		o.Silent = append(o.Silent, s.down()...)
	}
	ordered := time.Now()
	report, err := r.holders.order(o)
	if err != nil {
		return err
	}
	r.asked, r.took = ordered, time.Since(ordered)
	for _, p := range parts {
		if err := p.judge(r.held, report, o.Silent); err != nil {
			return err
		}
	}
	r.held.enter(report, ordered)
	r.held.asked(o.Silent)
	return nil
}

// fate is what must become of a connection in a step.
type fate int

const (
	mustKeep fate = iota
	mustBreak
	undetermined
	openedInFlood
	silent
	retransmitted
	late
)

// fate computes what must become of a connection from the states of its service, and from what was known of the
// connection when it was asked: neither the load balancer nor the answer has a say. Where flows are remembered, those of
// a replica that is removed break. Where they are not, the table decides. A table that was there for a moment decides about a connection only if one of its packets came in that
// moment: a delayed acknowledgement may (up to 40 ms, TCP_DELACK_MIN of the kernel's include/net/tcp.h).
func (p *part) fate(h held, a hold.Asked) fate {
	f := a.Flow
	switch {
	case p.late(h.Replica, a.Sent):
		return late
	case p.service.Tracking != lb.Stateless && slices.Contains(p.gone, h.Replica):
		return mustBreak
	case p.service.Tracking != lb.Stateless:
		return p.tracked(h, a)
	case p.service.owner(f) != h.Replica:
		return mustBreak
	case h.skipped || slices.ContainsFunc(p.between, func(s *service) bool { return s.owner(f) != h.Replica }):
		return undetermined
	}
	return mustKeep
}

// tracked is the fate of a connection whose flow is remembered, and whose replica is listed.
func (p *part) tracked(h held, a hold.Asked) fate {
	switch {
	case p.flooded.has(h.opened):
		return openedInFlood
	case a.Silence > p.service.Idle:
		return silent
	case h.skipped && a.Spoke:
		return retransmitted
	}
	return mustKeep
}

// judge sorts the connections that were held before a round: it determines what had to become of each before it
// checks whether the connection was lost.
func (p *part) judge(all connections, round hold.Report, silent []hold.Place) error {
	losses, asked := map[packet.Flow]hold.Lost{}, map[packet.Flow]hold.Asked{}
	for _, l := range round.Lost {
		losses[l.Flow] = l
	}
	for _, a := range round.Asked {
		asked[a.Flow] = a
	}
	for flow, h := range all {
		if h.VIP != p.service.VIP.Address || slices.Contains(silent, h.Place) {
			continue
		}
		a, ok := asked[flow]
		if !ok {
			return fmt.Errorf("the connection %v is held and was not asked", flow)
		}
		loss, lost := losses[flow]
		p.found.enter(p.fate(h, a), loss, lost)
	}
	return nil
}

// enter counts a connection by its fate, and whether it was lost.
func (f *finding) enter(of fate, loss hold.Lost, lost bool) {
	one := experiment.One(lost)
	switch of {
	case mustKeep:
		f.asked++
		if lost {
			f.lose(loss)
		}
	case mustBreak:
		f.mustBreak++
		f.broke += one
	case undetermined:
		f.undetermined++
		f.undeterminedLost += one
	case openedInFlood:
		f.openedInFlood++
		f.evicted += one
	case silent:
		f.silent++
		f.excludedLost += one
	case retransmitted:
		f.retransmitted++
		f.excludedLost += one
	case late:
		f.late++
		f.excludedLost += one
	}
}

// shown is how many losses the report quotes.
const shown = 5

// lose counts the loss of a connection that had to be kept.
func (f *finding) lose(l hold.Lost) {
	switch l.Fate {
	case hold.Reset, hold.Moved:
		f.moved++
	default:
		f.unanswered++
	}
	if len(f.losses) < shown {
		f.losses = append(f.losses, l)
	}
}

// open opens connections in place of those that are lost, and some more.
func (st *step) open() error {
	var o hold.Order
	for _, p := range st.parts {
		missing := st.wanted(p.service) - st.held.of(p.service.VIP.Address)
		o.Open = append(o.Open, hold.OpenRequest{VIP: p.service.VIP.Address, Count: max(missing, 0) + st.fresh})
	}
	ordered := time.Now()
	report, err := st.holders.order(o)
	if err != nil {
		return err
	}
	st.held.enter(report, ordered)
	for _, p := range st.parts {
		p.found = p.found.plus(arrivals(p.service, p.before, report))
	}
	return nil
}

// arrivals compares where new connections to a service went with its table and with the one from before the change.
func arrivals(s, before *service, report hold.Report) (f finding) {
	for _, o := range report.Opened {
		if o.VIP != s.VIP.Address {
			continue
		}
		f.opened++
		if o.Replica != s.owner(o.Flow) {
			f.misplaced++
		}
		if o.Replica != before.owner(o.Flow) {
			f.older++
		}
	}
	for _, refused := range report.Refused {
		if refused.VIP == s.VIP.Address {
			f.refused++
		}
	}
	return f
}
