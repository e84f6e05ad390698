package intent_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

func address(n byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, n}), 80)
}

// draining is a service with one active replica; two drain until a time, one without end.
func draining() intent.Service {
	s := intent.Service{Name: "web", Service: lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Mode: lb.NAT}}
	var all []intent.Replica
	for n, until := range []time.Time{{}, noon, noon.Add(-time.Hour), {}} {
		r := intent.Replica{Replica: lb.Replica{Address: address(byte(n + 1)), Weight: 1, State: lb.Draining}, DrainUntil: until}
		if n == 0 {
			r.State = lb.Active
		}
		all = append(all, r)
	}
	s = s.WithReplicas(all)
	s.Service = s.WithDefaults()
	return s
}

// The table of modulo follows the number of active replicas, a deadline goes with its replica, and the
// service that is edited stays as it is.
func TestReplicas(t *testing.T) {
	s := draining()
	if s.TableSize != 1 || len(s.Deadlines) != 2 {
		t.Fatalf("table of %d slots, deadlines %v", s.TableSize, s.Deadlines)
	}
	after := s.WithReplica(intent.Replica{Replica: lb.Replica{Address: address(2), Weight: 1}})
	if after.TableSize != 2 || len(after.Deadlines) != 1 || len(after.Replicas) != 4 || after.Replicas[1].State != lb.Active {
		t.Errorf("made active: %+v", after)
	}
	added := s.WithReplica(intent.Replica{Replica: lb.Replica{Address: address(9), Weight: 1}})
	if added.TableSize != 2 || len(added.Replicas) != 5 || added.Replicas[4].Address != address(9) {
		t.Errorf("added: %+v", added)
	}
	less, had := s.WithoutReplica(address(3))
	if !had || len(less.Replicas) != 3 || len(less.Deadlines) != 1 || less.TableSize != 1 {
		t.Errorf("removed: %+v, %v", less, had)
	}
	if _, had := less.WithoutReplica(address(3)); had {
		t.Error("it is still there")
	}
	if !s.Equal(draining()) {
		t.Errorf("the service itself has changed: %+v", s)
	}
}

// An edit returns a changed copy.
func TestEdits(t *testing.T) {
	before, at := intent.Default().WithService(draining())
	before = before.WithInterface(intent.Interface{Name: "eth0", Mode: lb.Auto})
	if next, found := before.NextDeadline(); at != 0 || !found || next != noon.Add(-time.Hour) {
		t.Errorf("service at %d, next deadline %v, %v", at, next, found)
	}
	changed := draining()
	changed.Seed = 7
	after, at := before.WithService(changed)
	after = after.WithInterface(intent.Interface{Name: "eth0", Mode: lb.Native}).WithInterface(intent.Interface{Name: "eth1", Mode: lb.Auto})
	if s, err := after.Service("web"); err != nil || at != 0 || s.Seed != 7 || len(after.Services) != 1 {
		t.Errorf("service %+v at %d, %v", s, at, err)
	}
	if a, wanted := after.Interface("eth0"); !wanted || a.Mode != lb.Native || len(after.Interfaces) != 2 {
		t.Errorf("interfaces %v", after.Interfaces)
	}
	if less, err := after.WithoutService("web"); err != nil || len(less.Services) != 0 {
		t.Errorf("services %v, %v", less.Services, err)
	}
	if less, err := after.WithoutInterface("eth0"); err != nil || len(less.Interfaces) != 1 || less.Interfaces[0].Name != "eth1" {
		t.Errorf("interfaces %v, %v", less.Interfaces, err)
	}
	for what, edit := range map[string]func(string) (intent.Intent, error){"service": after.WithoutService, "interface": after.WithoutInterface} {
		if _, err := edit("nope"); !errors.Is(err, lb.ErrNotFound) {
			t.Errorf("no such %s: %v", what, err)
		}
	}
	want, _ := intent.Default().WithService(draining())
	if want = want.WithInterface(intent.Interface{Name: "eth0", Mode: lb.Auto}); !before.Equal(want) {
		t.Errorf("the intent that was edited has changed: %+v", before)
	}
}

// What is wrong beside the others is said in the words of a document, and of a service alone.
func TestValidate(t *testing.T) {
	i, _ := intent.Default().WithService(draining())
	twice := draining()
	twice.Name = "two"
	next, at := i.WithService(twice)
	err := next.ValidateAfter(i)
	if whole := next.Validate(); whole == nil || err == nil || whole.Error() != err.Error() {
		t.Errorf("after a valid one %v, anew %v", err, whole)
	}
	var wrong *intent.Error
	if !errors.As(err, &wrong) || !errors.Is(err, lb.ErrInvalid) || wrong.Problems[0].Field != "services[1].vip" || wrong.Hint() == "" {
		t.Fatalf("%v, want a problem of services[1].vip", err)
	}
	if errors.As(intent.InService(err, at), &wrong); wrong.Problems[0].Field != "vip" {
		t.Errorf("%v, want a problem of vip", wrong)
	}
}
