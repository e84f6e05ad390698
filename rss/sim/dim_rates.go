package sim

import "time"

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
