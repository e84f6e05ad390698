package engine

import (
	"slices"
	"sync"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

const (
	// rateEvery is the least time over which a rate is measured.
	rateEvery = time.Second
	// rateLife is how long a measurement counts: longer than retryAfter.
	rateLife = 15 * time.Second
)

// rates are how many packets a second are sent to replicas that drain: recorded flows do not tell whether one is still in
// use. The zero value knows nothing.
type rates struct {
	mu sync.Mutex
	at time.Time
	// packets are those sent until then, rate those of each second before.
	packets map[Endpoint]uint64
	rate    map[Endpoint]float64
}

// Rate returns how many packets a second were lately sent to a replica that drains. known is false where that has not been
// measured: of other replicas, and in the first second or two.
func (e *Engine) Rate(of Endpoint) (perSecond float64, known bool) {
	r := &e.rates
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.clock.Now().Sub(r.at) > rateLife {
		return 0, false
	}
	perSecond, known = r.rate[of]
	return perSecond, known
}

// measure counts what was sent to the replicas that drain, when it is time to.
func (e *Engine) measure() {
	r, now, draining := &e.rates, e.clock.Now(), e.now.Load().draining
	r.mu.Lock()
	defer r.mu.Unlock()
	since, had := now.Sub(r.at), r.packets
	if len(draining) == 0 {
		r.at, r.packets, r.rate = time.Time{}, nil, nil
		return
	}
	if since >= 0 && since < rateEvery {
		return
	}
	r.at, r.packets, r.rate = now, map[Endpoint]uint64{}, map[Endpoint]float64{}
	of := make([]lb.Service, len(draining))
	for n, s := range draining {
		of[n] = s.Service
	}
	counts, err := e.dp.ReplicaCounts(of)
	if err != nil {
		e.log.Error("count the packets to replicas that drain", "error", err)
		return
	}
	for n, s := range draining {
		for k, replica := range s.Replicas {
			if replica.State != lb.Draining {
				continue
			}
			d, is := Endpoint{s.VIP, replica.Address}, counts[n][k].Packets
			r.packets[d] = is
			if was, measured := had[d]; measured && is >= was && since > 0 && since <= rateLife {
				r.rate[d] = float64(is-was) / since.Seconds()
			}
		}
	}
}

// drain returns those of the services of a state that have a replica that drains. Those that it shares with the state before,
// which knows that of its own, are not looked through.
func (s *Snapshot) drain(before *Snapshot) (all []*intent.Service) {
	was := make(map[*intent.Service]bool, len(before.draining))
	for _, of := range before.draining {
		was[of] = true
	}
	for n, is := range s.Given.Services {
		drains := false
		if n < len(before.Given.Services) && before.Given.Services[n] == is {
			drains = len(was) > 0 && was[is]
		} else {
			drains = slices.ContainsFunc(is.Replicas, func(r lb.Replica) bool { return r.State == lb.Draining })
		}
		if drains {
			all = append(all, is)
		}
	}
	return all
}
