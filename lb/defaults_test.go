package lb_test

import (
	"testing"

	"lbctl/lb"
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

func TestSlots(t *testing.T) {
	s := weighted(251)
	if s.Slots() != 251 {
		t.Errorf("%d slots", s.Slots())
	}
	s.Replicas = nil
	if s.Slots() != 0 {
		t.Errorf("%d slots without replicas", s.Slots())
	}
}
