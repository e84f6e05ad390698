package oracle

import (
	"time"

	"lbctl/lb"
)

// RateEffect is what a packet uses up of the rates of a service.
type RateEffect struct {
	VIP           lb.VIP
	Packet, Begin bool
}

// limited decides about a packet for which a replica has been found. begins: it begins a flow, which is asked for first.
func (d *decision) limited(begins bool) lb.Reason {
	l := d.service.RateLimit
	if d.only || l == (lb.RateLimit{}) {
		return ok
	}
	packet, flow := d.view.Rates(d.vip)
	use := RateEffect{VIP: d.vip}
	reason := ok
	if begins && l.NewFlows != 0 {
		if !flow {
			return lb.RateLimitedFlows
		}
		use.Begin = true
	}
	if l.Packets != 0 {
		if use.Packet = packet; !packet {
			reason = lb.RateLimitedPackets
		}
	}
	d.effects.Rates = use
	return reason
}

// bucket holds what a service may have of a rate, as tokens times a second in nanoseconds: that is earned in whole numbers.
type bucket struct {
	used uint64 // less than full
}

const token = uint64(time.Second)

// full is what it holds at most: what is earned in a burst, but one token at least.
func full(rate uint32, burst time.Duration) uint64 { return max(token, uint64(rate)*uint64(burst)) }

func (b *bucket) has(rate uint32, burst time.Duration) bool {
	return b.used+token <= full(rate, burst)
}

func (b *bucket) take() { b.used += token }

// earn lets time pass.
func (b *bucket) earn(rate uint32, d time.Duration) {
	b.used -= min(b.used, uint64(rate)*uint64(min(d, lb.MaxBurst)))
}

// Rates implements View.
func (t *tables) Rates(v lb.VIP) (packet, flow bool) {
	s := t.services[v]
	l := s.RateLimit
	return s.packets.has(l.Packets, l.Burst), s.begun.has(l.NewFlows, l.Burst)
}

// use takes what a packet uses up.
func (t *tables) use(e RateEffect) {
	if e.Packet {
		t.services[e.VIP].packets.take()
	}
	if e.Begin {
		t.services[e.VIP].begun.take()
	}
}
