package lb_test

import (
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
)

func TestWithDefaults(t *testing.T) {
	s := valid(1)
	s.TableSize, s.Replicas[0].Weight = 0, 0
	if got := s.WithDefaults(); got.TableSize != 3 || got.Replicas[0].Weight != 1 {
		t.Errorf("modulo: %+v", got)
	}
	if s.Replicas[0].Weight != 0 {
		t.Error("the argument was changed")
	}
	s.Scheduler, s.Replicas[1].Weight = lb.Maglev, 7
	if got := s.WithDefaults(); got.TableSize != lb.DefaultMaglevSize || got.Replicas[1].Weight != 7 {
		t.Errorf("maglev: %+v", got)
	}
	s.TableSize = 12 // not a prime, for Validate to say
	if got := s.WithDefaults(); got.TableSize != 12 {
		t.Errorf("a size that was given: %d", got.TableSize)
	}
}

// A Maglev table has the least of few sizes in which each replica has a hundred slots, whatever the states.
func TestDefaultTableSize(t *testing.T) {
	of := func(n int, weights ...uint16) []lb.Replica {
		all := make([]lb.Replica, n)
		for i, w := range weights {
			all[i].Weight = w
		}
		return all
	}
	for _, c := range []struct {
		replicas []lb.Replica
		want     uint32
	}{
		{nil, 1009}, {of(1), 1009}, {of(10), 1009}, {of(11), 3163}, {of(31), 3163}, {of(32), 10_007}, {of(100), 10_007}, {of(101), 31_627},
		{of(316), 31_627}, {of(317), 65_537}, {of(5000), 65_537}, {of(10, 2), 3163}, {of(2, 65535), 65_537}, {of(3, 7, 7, 7), 1009},
		{[]lb.Replica{{State: lb.Down}}, 1009},
	} {
		if got := lb.DefaultTableSize(lb.TrackChanges, c.replicas); got != c.want {
			t.Errorf("%d replicas %v: %d slots, want %d", len(c.replicas), c.replicas[:min(3, len(c.replicas))], got, c.want)
		}
		if got := lb.DefaultTableSize(lb.Stateless, c.replicas); got != lb.DefaultMaglevSize {
			t.Errorf("%d replicas, no flows recorded: %d slots: their flows move where the size changes", len(c.replicas), got)
		}
	}
}

// TestModuloCountsActive: a slot for every replica that is given new flows.
func TestModuloCountsActive(t *testing.T) {
	s := valid(1)
	s.TableSize, s.Replicas[0].State, s.Replicas[2].State = 0, lb.Draining, lb.Down
	if got := s.WithDefaults(); got.TableSize != 1 || got.Slots() != 1 || got.Active() != 1 {
		t.Errorf("modulo: %+v", got)
	}
	s.Replicas[1].State = lb.Down
	if got := s.WithDefaults(); got.TableSize != 0 {
		t.Errorf("modulo, none active: %d slots", got.TableSize)
	}
}

func TestIdleDefaults(t *testing.T) {
	for _, c := range []struct {
		protocol packet.Protocol
		tracking lb.Tracking
		idle     time.Duration
		want     time.Duration
	}{
		{packet.TCP, lb.Stateless, 0, 0},
		{packet.TCP, lb.TrackChanges, 0, 10 * time.Minute},
		{packet.TCP, lb.TrackAlways, 0, 10 * time.Minute},
		{packet.UDP, lb.TrackAlways, 0, 2 * time.Minute},
		{packet.TCP, lb.TrackChanges, time.Hour, time.Hour},
	} {
		s := valid(1)
		s.VIP.Protocol, s.Tracking, s.Idle = c.protocol, c.tracking, c.idle
		if got := s.WithDefaults(); got.Idle != c.want || got.Validate() != nil {
			t.Errorf("%v %v: idle %v, want %v; %v", c.protocol, c.tracking, got.Idle, c.want, got.Validate())
		}
	}
	if tcp, udp := lb.DefaultTracking(packet.TCP), lb.DefaultTracking(packet.UDP); tcp != lb.TrackChanges || udp != lb.TrackAlways {
		t.Errorf("default tracking: tcp %v, udp %v", tcp, udp)
	}
}

func TestSlots(t *testing.T) {
	s := weighted(251)
	if s.Slots() != 251 {
		t.Errorf("%d slots", s.Slots())
	}
	s.Replicas[1].State = lb.Draining
	if s.Slots() != 251 {
		t.Errorf("%d slots with a replica draining", s.Slots())
	}
	s.Replicas[0].State, s.Replicas[2].State = lb.Down, lb.Draining
	if s.Slots() != 0 {
		t.Errorf("%d slots with none active", s.Slots())
	}
	s.Replicas = nil
	if s.Slots() != 0 {
		t.Errorf("%d slots without replicas", s.Slots())
	}
}
