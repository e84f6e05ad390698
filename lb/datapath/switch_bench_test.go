package datapath

import (
	"net/netip"
	"testing"
	"time"

	"lbctl/lb"
)

// BenchmarkSwitch replaces a Maglev table of 65,537 slots and 100 replicas by one of
// 99. It reports the time from the call to the switch, after which packets see the
// new table, and that to the return, when none sees the old one any more.
func BenchmarkSwitch(b *testing.B) {
	inNamespace(b)
	veth(b, "up", "10.1.0.254/24")
	d := open(b, Options{})
	full := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Scheduler: lb.Maglev}
	for i := range byte(100) {
		full.Replicas = append(full.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, i + 1}), 80)})
	}
	full = full.WithDefaults()
	less := full.Clone()
	less.Replicas = less.Replicas[1:]
	set := func(s lb.Service) (effect, done time.Duration) {
		start := time.Now()
		old := d.services[s.VIP]
		e, err := d.prepare(s, old)
		if err != nil {
			b.Fatal(err)
		}
		effect = time.Since(start)
		if err := d.install(e, old); err != nil {
			b.Fatal(err)
		}
		return effect, time.Since(start)
	}
	if err := d.SetService(b.Context(), full); err != nil {
		b.Fatal(err)
	}
	var effects, dones []float64
	for i := 0; b.Loop(); i++ {
		effect, done := set([]lb.Service{less, full}[i%2])
		effects, dones = append(effects, effect.Seconds()*1e3), append(dones, done.Seconds()*1e3)
	}
	b.ReportMetric(median(effects), "ms/effect")
	b.ReportMetric(median(dones), "ms/return")
}
