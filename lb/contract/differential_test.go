package contract

import (
	"context"
	"slices"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// TestDifferentialOracle compares the reference with itself: the driver must see no
// difference where there is none.
func TestDifferentialOracle(t *testing.T) {
	Differential(t, 1, 5000, Oracle)
	DifferentialFlows(t, 1, 5000, Oracle)
}

// TestDifferentialReaches checks that such a run meets every reason and every action: with every seed, most likely (with
// each of sixty it met every reason twice at least). A fault of the tables cannot occur.
func TestDifferentialReaches(t *testing.T) {
	eachPart(t, func(t *testing.T, thorough, packets int) {
		actions := make(map[oracle.Action]int)
		subject := OracleRejecting(t)
		send := subject.Send
		subject.Send = func(link string, frame []byte) (oracle.Verdict, error) {
			v, err := send(link, frame)
			actions[v.Action]++
			return v, err
		}
		d := newComparison(t, 1, subject)
		d.thorough = thorough
		if err := d.run(packets); err != nil {
			t.Fatal(err)
		}
		counters, err := subject.Dataplane.Counters()
		if err != nil {
			t.Fatal(err)
		}
		for reason, n := range counters.Reasons {
			// Frames of a test run have room, and there is no limit.
			never := slices.Contains([]lb.Reason{lb.TableFault, lb.NoHeadroom, lb.RejectLimited}, reason)
			if (n.Packets == 0) != never {
				t.Errorf("%v: %d packets", reason, n.Packets)
			}
		}
		if len(actions) != 4 {
			t.Errorf("actions: %v", actions)
		}
		t.Logf("reasons %v, actions %v", counters.Reasons, actions)
	})
}

// TestDifferentialNotices breaks the reference in one way after the other: the run must find each.
func TestDifferentialNotices(t *testing.T) {
	eachPart(t, func(t *testing.T, thorough, packets int) {
		for name, breaks := range defects() {
			t.Run(name, func(t *testing.T) {
				subject := Oracle(t)
				breaks(&subject)
				d := newComparison(t, 1, subject)
				d.thorough = thorough
				err := d.run(packets)
				if err == nil {
					t.Fatal("not noticed in", packets, "packets")
				}
				t.Log(err)
			})
		}
	})
}

// eachPart runs a test of the thorough part of a run, and of the part that follows in a long one.
func eachPart(t *testing.T, test func(t *testing.T, thorough, packets int)) {
	t.Run("thorough", func(t *testing.T) { test(t, thorough, 20_000) })
	t.Run("long", func(t *testing.T) { test(t, 0, 100_000) })
}

// defect breaks a harness. The frames it sees are its own copies.
type defect func(h *Harness)

// before changes frames before the datapath sees them, which makes it blind to something.
func before(change func(frame []byte)) defect {
	return func(h *Harness) {
		send := h.Send
		h.Send = func(link string, frame []byte) (oracle.Verdict, error) {
			change(frame)
			return send(link, frame)
		}
	}
}

// after changes verdicts.
func after(change func(in []byte, v *oracle.Verdict)) defect {
	return func(h *Harness) {
		send := h.Send
		h.Send = func(link string, frame []byte) (oracle.Verdict, error) {
			in := slices.Clone(frame)
			v, err := send(link, frame)
			change(in, &v)
			return v, err
		}
	}
}

// sent changes frames that are forwarded or returned.
func sent(change func(frame []byte)) defect {
	return after(func(_ []byte, v *oracle.Verdict) {
		if v.Action == oracle.Redirect {
			change(v.Frame)
		}
	})
}

// defects are faults that a datapath may have, some of them seen in others.
func defects() map[string]defect {
	return map[string]defect{
		"ttl never decremented": sent(func(f []byte) {
			if hasIPv6(f) {
				f[21]++
			}
		}),
		"mac addresses swapped": sent(func(f []byte) { copy(f[0:12], append(slices.Clone(f[6:12]), f[0:6]...)) }),
		"fragments not known": before(func(f []byte) {
			if hasIPv4(f) {
				f[20], f[21] = f[20]&0xc0, 0
			}
		}),
		"ethernet padding taken for payload": before(func(f []byte) {
			if hasIPv4(f) {
				f[16], f[17] = byte((len(f)-14)>>8), byte(len(f)-14)
			}
		}),
		"no udp checksum made one": sent(func(f []byte) {
			if hasIPv4(f) && hasUDP(f) && f[40] == 0 && f[41] == 0 {
				f[40] = 1
			}
		}),
		"traffic class lost": sent(func(f []byte) {
			if hasIPv6(f) {
				f[15] &= 0x0f
			}
		}),
		"tx for redirect": after(func(_ []byte, v *oracle.Verdict) {
			if v.Action == oracle.Redirect {
				v.Action = oracle.Transmit
			}
		}),
		"wrong way out": after(func(_ []byte, v *oracle.Verdict) { v.Egress = v.Egress * 2 % 3 }),
		"a reason renamed": after(func(_ []byte, v *oracle.Verdict) {
			if v.Reason == lb.FragmentOrphan {
				v.Reason = lb.NotTCPUDP
			}
		}),
		"source port lost": before(func(f []byte) {
			if hasIPv4(f) && len(f) > 36 {
				f[34], f[35] = 0, 0
			}
		}),
		"bytes not counted":       func(h *Harness) { h.Dataplane = miscounting{h.Dataplane} },
		"removing does nothing":   func(h *Harness) { h.Dataplane = clinging{h.Dataplane} },
		"seed forgotten":          func(h *Harness) { h.Dataplane = seedless{h.Dataplane} },
		"tracking ignored":        func(h *Harness) { h.Dataplane = stateless{h.Dataplane} },
		"time stands still":       func(h *Harness) { h.Advance = func(*testing.T, time.Duration) {} },
		"old flows not told":      func(h *Harness) { h.Dataplane = forgetful{h.Dataplane} },
		"explains without tables": func(h *Harness) { h.Dataplane = guessing{h.Dataplane} },
	}
}

type miscounting struct{ lb.Dataplane }

func (m miscounting) Counters() (lb.Counters, error) {
	c, err := m.Dataplane.Counters()
	for r, n := range c.Reasons {
		c.Reasons[r] = lb.Count{Packets: n.Packets}
	}
	return c, err
}

type clinging struct{ lb.Dataplane }

func (clinging) RemoveService(context.Context, lb.VIP) error { return nil }

// stateless makes every service stateless.
type stateless struct{ lb.Dataplane }

func (s stateless) SetService(ctx context.Context, service lb.Service) error {
	if service.Tracking == lb.TrackChanges {
		service.Tracking, service.Idle = lb.Stateless, 0
	}
	return s.Dataplane.SetService(ctx, service)
}

type forgetful struct{ lb.Dataplane }

func (f forgetful) Flows(named ...lb.VIP) (map[lb.VIP]lb.Flows, error) {
	all, err := f.Dataplane.Flows(named...)
	for _, of := range all {
		for a, n := range of.Replicas {
			of.Replicas[a] = lb.ReplicaFlows{Established: n.Established, HalfOpen: n.HalfOpen}
		}
	}
	return all, err
}

type guessing struct{ lb.Dataplane }

func (g guessing) Explain(p lb.Probe) (lb.Explanation, error) {
	e, err := g.Dataplane.Explain(p)
	e.After = e.Before
	return e, err
}

type seedless struct{ lb.Dataplane }

func (s seedless) SetService(ctx context.Context, service lb.Service) error {
	service.Seed = 0
	return s.Dataplane.SetService(ctx, service)
}
