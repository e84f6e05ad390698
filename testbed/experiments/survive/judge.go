package survive

import (
	"context"
	"slices"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
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
	if err := st.open(); err != nil {
		return err
	}
	passed, err := st.passDeadlines(ctx)
	if err != nil || !passed {
		return err
	}
	return st.ask()
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
	st.held.enter(report, time.Now())
	return err
}

// ask sends a message on every connection, but for those of replicas that are down, and judges.
func (st *step) ask() error {
	return st.round(st.parts)
}

// round asks all connections and judges those of some services.
func (r *run) round(parts []*part) error {
	o := hold.Order{Ask: true}
	for _, s := range r.changed() {
		o.Silent = append(o.Silent, s.down()...)
	}
	ordered := time.Now()
	report, err := r.fleet.order(o)
	if err != nil {
		return err
	}
	r.asked, r.took = ordered, time.Since(ordered)
	for _, p := range parts {
		p.judge(r.held, report.Lost, o.Silent)
	}
	r.held.enter(report, ordered)
	r.held.asked(ordered, o.Silent)
	return nil
}

// judge holds the losses of a round that ends now against the connections that there were.
func (p *part) judge(all ledger, losses []hold.Lost, silent []hold.Place) {
	ended := make(map[packet.Flow]hold.Lost, len(losses))
	for _, l := range losses {
		ended[l.Flow] = l
	}
	f := &p.found
	for flow, h := range all {
		if h.VIP != p.service.VIP.Address || slices.Contains(silent, h.Place) {
			continue
		}
		loss, lost := ended[flow]
		switch fate := p.fate(flow, h); {
		case fate == toEnd:
			f.doomed++
			f.ended += one(lost)
		case fate == toEither:
			f.vague++
			f.vanished += one(lost)
		case p.flooded.has(h.opened):
			f.amid++
			f.pushed += one(lost)
		case lost && p.service.Tracking != lb.Stateless && time.Since(h.spoke) > p.service.Idle:
			f.overdue++
		case lost && h.rested && loss.Spoke:
			f.roused++
		default:
			f.asked++
			if lost {
				f.lose(loss)
			}
		}
	}
}

// one is 1 for true.
func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// shown is how many losses the report tells of.
const shown = 5

// lose counts the loss of a connection that had to be kept.
func (f *finding) lose(l hold.Lost) {
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
	ordered := time.Now()
	report, err := st.fleet.order(o)
	if err != nil {
		return err
	}
	st.held.enter(report, ordered)
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
