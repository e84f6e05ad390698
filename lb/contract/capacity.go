package contract

import (
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testCapacity tests each of the limits at its border.
func testCapacity(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("services", func(t *testing.T) { testServiceLimit(newFixture(t, open)) })
	t.Run("replicas", func(t *testing.T) { testReplicaLimit(newFixture(t, open)) })
	t.Run("slots", func(t *testing.T) { testSlotLimit(newFixture(t, open)) })
	t.Run("slots are used again", func(t *testing.T) { testSlotsReused(newFixture(t, open)) })
}

// full tries to set a service, for which there is no room.
func (b fixture) full(s lb.Service) {
	b.t.Helper()
	b.unchanged("no room", func() { b.refused(set("no room", s, lb.ErrFull)) })
}

func testServiceLimit(b fixture) {
	n := byte(Limits().Services)
	for i := range n {
		b.set(ipv4.service(i+1, packet.TCP, ipv4.on(West, i+1, 80)))
	}
	b.full(ipv4.service(n+1, packet.TCP, ipv4.on(West, n+1, 80)))
	b.set(ipv4.service(1, packet.TCP, ipv4.on(West, 99, 80))) // a replacement is not one more
	b.remove(ipv4.vip(2, packet.TCP))
	b.set(ipv4.service(n+1, packet.TCP, ipv4.on(West, n+1, 80)))
	b.reaches(ipv4.vip(n, packet.TCP), lb.Replica{Address: ipv4.on(West, n, 80)})
}

// withReplicas returns a service with n replicas, told apart by their ports from first on.
func withReplicas(number byte, n int, first uint16) lb.Service {
	s := ipv4.service(number, packet.TCP)
	for i := range n {
		s.Replicas = append(s.Replicas, lb.Replica{Address: ipv4.on(West, number, first+uint16(i))})
	}
	return s.WithDefaults()
}

func testReplicaLimit(b fixture) {
	n := int(Limits().Replicas)
	b.full(withReplicas(1, n+1, 1000))
	b.set(withReplicas(1, n-1, 1000))
	b.full(withReplicas(2, 2, 1000))
	b.set(withReplicas(2, 1, 1000))
	b.full(withReplicas(2, 2, 1000))
	b.set(withReplicas(1, 1, 1000))
	b.set(withReplicas(2, 2, 1000))
	b.reaches(ipv4.vip(1, packet.TCP), lb.Replica{Address: ipv4.on(West, 1, 1000)})
}

// slotted returns a service with a Maglev table of that size.
func slotted(number byte, size uint32) lb.Service {
	s := ipv4.service(number, packet.TCP, ipv4.on(West, number, 80))
	s.Scheduler, s.TableSize = lb.Maglev, size
	return s
}

func testSlotLimit(b fixture) {
	b.full(slotted(1, 8209)) // a prime; Limits has 8192
	b.set(slotted(1, 5003))
	b.full(slotted(2, 5003))
	b.full(slotted(1, 5009)) // the old table and the new one do not fit together
	b.reaches(ipv4.vip(1, packet.TCP), lb.Replica{Address: ipv4.on(West, 1, 80)})
	b.remove(ipv4.vip(1, packet.TCP))
	b.set(slotted(2, 5003))
	b.reaches(ipv4.vip(2, packet.TCP), lb.Replica{Address: ipv4.on(West, 2, 80)})
}

// testSlotsReused replaces a table more often than all slots could hold it.
func testSlotsReused(b fixture) {
	b.set(slotted(1, 1009), slotted(2, 13))
	for i := range uint32(50) {
		s := slotted(1, []uint32{1009, 2003, 251}[i%3])
		s.Seed = i
		b.set(s)
	}
	b.reaches(ipv4.vip(1, packet.TCP), lb.Replica{Address: ipv4.on(West, 1, 80)})
	b.reaches(ipv4.vip(2, packet.TCP), lb.Replica{Address: ipv4.on(West, 2, 80)})
}
