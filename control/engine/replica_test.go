package engine

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// Unfit says of what was named why no replica can have it.
func (l *links) Unfit(addresses []netip.Addr) (map[netip.Addr]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	why := maps.Clone(l.is.Unfit)
	maps.DeleteFunc(why, func(a netip.Addr, _ string) bool { return !slices.Contains(addresses, a) })
	return why, nil
}

// ReplicaCounts returns what was sent to replicas of web.
func (l *links) ReplicaCounts(of []lb.Service) (all [][]lb.Count, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range of {
		var counts []lb.Count
		for _, r := range s.Replicas {
			counts = append(counts, l.sent[r.Address])
		}
		all = append(all, counts)
	}
	return all, nil
}

func (l *links) send(to netip.AddrPort, packets uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.sent[to]
	n.Packets += packets
	l.sent[to] = n
}

// A new replica to which no packet can get is refused, planned or done. One that became so later is no obstacle, neither
// for other changes nor for a start.
func TestUnfitReplica(t *testing.T) {
	dp := newLinks()
	dp.is.Unfit = map[netip.Addr]string{replica(2).Addr(): "the balancer's own"}
	w := startWorld(t, dp, wanting())
	with3 := func(i intent.Intent) (intent.Intent, error) {
		return with(i, web(in(lb.Active), in(lb.Active), in(lb.Active)))
	}
	w.mustEdit(with3)
	dp.is.Unfit[replica(4).Addr()] = "a broadcast address"
	with4 := func(i intent.Intent) (intent.Intent, error) {
		return with(i, web(in(lb.Active), in(lb.Active), in(lb.Active), in(lb.Active)))
	}
	_, _, planned := w.Engine.Plan(Change{Edit: with4})
	_, done := w.edit(with4)
	for what, err := range map[string]error{"planned": planned, "done": done} {
		var wrong *intent.Error
		if !errors.As(err, &wrong) || err.Error() != "services[0].replicas[3].address: 10.0.0.4 is a broadcast address" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := len(w.Now().Intent.Services[0].Replicas); n != 3 {
		t.Errorf("%d replicas, want 3", n)
	}
}

// What a replica gets that drains is measured each second. It is not known of others, before there were two measurements,
// when counting was interrupted, and after the counters began anew.
func TestRate(t *testing.T) {
	w := startWorld(t, newLinks(), wanting())
	of := func(n byte) Endpoint { return Endpoint{web().VIP, replica(n)} }
	want := func(what string, n byte, want float64, wantKnown bool) {
		t.Helper()
		if got, known := w.Rate(of(n)); got != want || known != wantKnown {
			t.Errorf("%s: %v packets/s, known %v; want %v, %v", what, got, known, want, wantKnown)
		}
	}
	// measured lets seconds pass until there is a measurement at that time.
	measured := func(seconds time.Duration) {
		t.Helper()
		now := w.hand.Now().Add(seconds * time.Second)
		w.hand.tick(seconds * time.Second)
		w.await("a measurement", func() bool {
			w.rates.mu.Lock()
			defer w.rates.mu.Unlock()
			return w.rates.at.Equal(now)
		})
	}
	want("nothing drains", 1, 0, false)
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, web(in(lb.Draining), in(lb.Active))) })
	w.await("the first measurement", func() bool {
		w.rates.mu.Lock()
		defer w.rates.mu.Unlock()
		return len(w.rates.packets) == 1
	})
	want("measured once", 1, 0, false)
	w.dp.send(replica(1), 500)
	w.dp.send(replica(2), 500)
	measured(2)
	want("measured twice", 1, 250, true)
	want("an active one", 2, 0, false)
	measured(1)
	want("nothing came", 1, 0, true)
	measured(16)
	want("nobody measured for long", 1, 0, false)
	w.dp.send(replica(1), 100)
	measured(1)
	want("measured again", 1, 100, true)
	w.dp.mu.Lock()
	w.dp.sent = map[netip.AddrPort]lb.Count{}
	w.dp.mu.Unlock()
	measured(1)
	want("the counters began anew", 1, 0, false)
	measured(1)
	want("measured twice again", 1, 0, true)
	w.hand.mu.Lock()
	w.hand.now = w.hand.now.Add(rateLife + time.Second) // and nobody wakes up
	w.hand.mu.Unlock()
	want("an old measurement", 1, 0, false)
}

// await returns when something has happened.
func (w *world) await(what string, happened func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("still no ", what)
		}
	}
}
