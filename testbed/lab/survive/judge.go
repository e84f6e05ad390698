package survive

import (
	"context"
	"slices"
	"time"

	"lbctl/testbed/traffic/hold"
)

// play makes a step's changes and looks what became of the connections. around is called with
// what makes the changes, to do something before and after it.
func (st *step) play(ctx context.Context, around func(ctx context.Context, change func(context.Context) error) error) error {
	if err := st.finish(); err != nil {
		return err
	}
	if err := around(ctx, st.apply); err != nil {
		return err
	}
	if err := st.ask(); err != nil {
		return err
	}
	return st.open()
}

// finish closes the connections of replicas that were drained.
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
	report, err := st.fleet.order(o)
	st.held.enter(report)
	return err
}

// ask sends a message on every connection, but for those of replicas that are down.
func (st *step) ask() error {
	report, err := st.round()
	if err != nil {
		return err
	}
	for _, p := range st.parts {
		p.judge(report, st.held)
	}
	st.held.enter(report)
	return nil
}

// round asks all connections.
func (r *run) round() (hold.Report, error) {
	o := hold.Order{Ask: true}
	for _, s := range r.changed() {
		o.Silent = append(o.Silent, s.down()...)
	}
	r.asked = time.Now()
	return r.fleet.order(o)
}

// judge counts what a round of messages says of the service's connections.
func (p *part) judge(report hold.Report, held holding) {
	f := &p.found
	for _, i := range p.gone {
		f.doomed += held[p.service.place(i)]
	}
	for _, c := range report.Kept {
		if p.mine(c.Place) {
			f.asked += c.Connections
		}
	}
	for _, l := range report.Lost {
		switch {
		case l.VIP != p.service.VIP.Address:
		case slices.Contains(p.gone, l.Replica):
			f.ended++
		default:
			f.lose(l)
		}
	}
}

// mine tells whether a place is one whose connections had to be kept.
func (p *part) mine(at hold.Place) bool {
	return at.VIP == p.service.VIP.Address && !slices.Contains(p.gone, at.Replica)
}

// shown is how many losses the report tells of.
const shown = 5

// lose counts a connection that had to be kept.
func (f *finding) lose(l hold.Lost) {
	f.asked++
	switch l.Fate {
	case hold.Reset, hold.Moved:
		f.moved++
	default:
		f.broken++
	}
	if len(f.fates) < shown {
		f.fates = append(f.fates, l)
	}
}

// open opens connections in place of those that ended, and some more.
func (st *step) open() error {
	var o hold.Order
	for _, p := range st.parts {
		missing := st.wanted(p.service) - st.held.of(p.service.VIP.Address)
		o.Open = append(o.Open, hold.Wish{VIP: p.service.VIP.Address, Count: max(missing, 0) + st.fresh})
	}
	report, err := st.fleet.order(o)
	if err != nil {
		return err
	}
	st.held.enter(report)
	for _, p := range st.parts {
		p.found = p.found.plus(arrivals(p.service, p.before, report))
	}
	return nil
}

// arrivals says where new connections to a service came to, beside its table and the one of before.
func arrivals(s, before *service, report hold.Report) (f finding) {
	for _, o := range report.Opened {
		if o.VIP != s.VIP.Address {
			continue
		}
		f.opened++
		if o.Replica != s.owner(o.Flow) {
			f.astray++
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
