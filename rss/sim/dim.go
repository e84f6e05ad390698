package sim

import (
	"time"
)

// dimProfiles are the settings that DIM chooses from, for a timer that begins with
// the first packet: NET_DIM_RX_EQE_PROFILES of the kernel's lib/dim/net_dim.c.
var dimProfiles = [...]Moderation{
	{Delay: 1 * time.Microsecond, Frames: 256, Adaptive: true},
	{Delay: 8 * time.Microsecond, Frames: 256, Adaptive: true},
	{Delay: 64 * time.Microsecond, Frames: 256, Adaptive: true},
	{Delay: 128 * time.Microsecond, Frames: 256, Adaptive: true},
	{Delay: 256 * time.Microsecond, Frames: 256, Adaptive: true},
}

const (
	// dimDefault is NET_DIM_DEF_PROFILE_EQE.
	dimDefault = 1
	// dimEvents is the number of interrupts of a measurement: DIM_NEVENTS.
	dimEvents = 64
	// dimPatience is the number of steps after which it pauses.
	dimPatience = 2 * len(dimProfiles)
)

// dimState is the state of DIM's search.
type dimState uint8

const (
	parkedOnTop dimState = iota // found the best profile; waits for the rates to change
	parkedTired                 // made too many steps; pauses
	goingRight                  // towards longer delays
	goingLeft
)

// dim is Dynamic Interrupt Moderation (lib/dim/net_dim.c, lib/dim/dim.c): every 64
// interrupts it compares the rates of this measurement with those of the one before, and steps to the
// next profile in the direction that improved them. Better is first more bytes, then
// more packets, then fewer interrupts, each by more than 10 %. The kernel defers a change to a
// work queue; here it is immediate.
type dim struct {
	state       dimState
	profile     int
	right, left int // steps since the last turn
	tired       int
	measuring   bool
	start       dimSample
	before      dimRates
}

// adapt gives DIM a sample of the queue, as drivers do when a poll is complete, and sets
// the moderation that it chooses.
func (q *queue) adapt(now time.Duration) {
	sample := dimSample{now, q.count.interrupts, q.count.packets, q.count.bytes}
	if q.dim.sample(sample) {
		q.moderation = dimProfiles[q.dim.profile]
	}
}

// sample takes a sample and tells whether the profile changed.
func (d *dim) sample(s dimSample) (changed bool) {
	if !d.measuring {
		d.start, d.measuring = s, true
		return false
	}
	if s.events-d.start.events < dimEvents {
		return false
	}
	rates, ok := d.start.rates(s)
	if !ok {
		return false
	}
	profile := d.profile
	d.decide(rates)
	// After a change the next sample begins a new measurement.
	d.start, d.measuring = s, d.profile == profile
	return d.profile != profile
}

// decide is net_dim_decision.
func (d *dim) decide(now dimRates) {
	parked := d.state == parkedOnTop
	switch d.state {
	case parkedOnTop:
		if now.compare(d.before) != 0 {
			d.leavePark()
		}
	case parkedTired:
		if d.tired--; d.tired == 0 {
			d.leavePark()
		}
	case goingRight, goingLeft:
		if now.compare(d.before) <= 0 {
			d.turn()
		}
		d.advance()
	}
	// While parked it compares with the rates at which it parked, to detect slow changes too.
	if !parked || d.state != parkedOnTop {
		d.before = now
	}
}

// advance makes a step, or parks if there is none to make.
func (d *dim) advance() {
	onTop := d.state == goingRight && d.left > 1 && d.right == 1 ||
		d.state == goingLeft && d.right > 1 && d.left == 1
	onEdge := d.state == goingRight && d.profile == len(dimProfiles)-1 ||
		d.state == goingLeft && d.profile == 0
	switch {
	case !onTop && d.tired == dimPatience:
		d.state, d.right, d.left = parkedTired, 0, 0
	case onTop || onEdge:
		d.state, d.right, d.left, d.tired = parkedOnTop, 0, 0, 0
	default:
		d.step()
	}
}

func (d *dim) step() {
	if d.state == goingRight {
		d.profile++
		d.right++
	} else {
		d.profile--
		d.left++
	}
	d.tired++
}

// turn reverses the direction and resets the count of its steps.
func (d *dim) turn() {
	if d.state == goingRight {
		d.state, d.left = goingLeft, 0
	} else {
		d.state, d.right = goingRight, 0
	}
}

func (d *dim) leavePark() {
	d.state = goingRight
	if d.profile > 0 {
		d.state = goingLeft
	}
	d.step()
}

// dimSample are the counters at one time.
type dimSample struct {
	at                     time.Duration
	events, packets, bytes uint64
}

// dimRates are rates per millisecond, rounded up.
type dimRates struct{ bytes, packets, events uint64 }

// rates returns the rates between two samples; not ok when no time is between them.
func (s dimSample) rates(end dimSample) (r dimRates, ok bool) {
	us := uint64((end.at - s.at) / time.Microsecond)
	if us == 0 {
		return dimRates{}, false
	}
	perMilli := func(n uint64) uint64 { return (n*1000 + us - 1) / us }
	// A measurement counts as 64 interrupts, even if there were more.
	return dimRates{perMilli(end.bytes - s.bytes), perMilli(end.packets - s.packets), perMilli(dimEvents)}, true
}

// compare returns 1 when r is better than the rates before, -1 when it is worse, 0 when they
// are the same: net_dim_stats_compare.
func (r dimRates) compare(before dimRates) int {
	switch {
	case before.bytes == 0:
		return sign(r.bytes > 0, false)
	case differ(r.bytes, before.bytes):
		return sign(r.bytes > before.bytes, r.bytes < before.bytes)
	case before.packets == 0:
		return sign(r.packets > 0, false)
	case differ(r.packets, before.packets):
		return sign(r.packets > before.packets, r.packets < before.packets)
	case before.events > 0 && differ(r.events, before.events):
		return sign(r.events < before.events, r.events > before.events)
	}
	return 0
}

// differ tells whether a value differs from a reference above 0 by more than 10 %, in whole percents.
func differ(value, reference uint64) bool {
	return 100*(max(value, reference)-min(value, reference))/reference > 10
}

func sign(better, worse bool) int {
	switch {
	case better:
		return 1
	case worse:
		return -1
	}
	return 0
}
