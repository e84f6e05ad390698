// Package predict says where the packets of a flow should go, by models of a NIC and of a service behind it that share no code
// with the kernel. Experiments hold it against what was seen.
package predict

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/lb/scheduler"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// Model says where a flow should go. Immutable, safe for concurrent use.
type Model struct {
	NIC     *nic.NIC
	Service lb.Service
	// Key is the RSS key of the service's hash, if that is Toeplitz.
	Key   rss.Key
	slots []uint32
}

// New returns the model of a NIC and of a valid service behind it.
func New(n *nic.NIC, s lb.Service, key rss.Key) Model {
	return Model{NIC: n, Service: s, Key: key, slots: scheduler.Build(s)}
}

// Queue returns the queue that the packets of a flow should come on.
func (m Model) Queue(f packet.Flow) rss.Queue { return m.NIC.ClassifyFlow(f).Queue }

// Slot returns the hash of a flow and its slot.
func (m Model) Slot(f packet.Flow) (hash, slot uint32) {
	hash = oracle.Hash(m.Service, m.Key, f)
	return hash, hash % m.Service.TableSize
}

// Replica returns the number of the replica that a flow should go to.
func (m Model) Replica(f packet.Flow) int {
	_, slot := m.Slot(f)
	return int(m.slots[slot])
}

// Rule says in words how the hash h becomes a replica.
func (m Model) Rule() string {
	if m.Service.Scheduler == lb.Modulo {
		return fmt.Sprintf("h mod %d", m.Service.TableSize)
	}
	return fmt.Sprintf("slot h mod %d of the %v table", m.Service.TableSize, m.Service.Scheduler)
}

// ReplicaShares returns the share of the slots that each replica has.
func (m Model) ReplicaShares() []float64 {
	shares := make([]float64, len(m.Service.Replicas))
	for _, r := range m.slots {
		shares[r] += 1 / float64(len(m.slots))
	}
	return shares
}

// Addresses returns those of the replicas.
func (m Model) Addresses() []netip.AddrPort {
	var all []netip.AddrPort
	for _, r := range m.Service.Replicas {
		all = append(all, r.Address)
	}
	return all
}

// With returns the model of the same service with another scheduler and its first n replicas.
func (m Model) With(scheduler lb.Scheduler, n int) Model {
	s := m.Service.Clone()
	if s.Scheduler != scheduler || scheduler == lb.Modulo {
		s.Scheduler, s.TableSize = scheduler, 0
	}
	s.Replicas = s.Replicas[:n]
	return New(m.NIC, s.WithDefaults(), m.Key)
}

// OtherKey returns a key that differs from k in every byte.
func OtherKey(k rss.Key, random func() uint64) rss.Key {
	other := slices.Clone(k)
	for i := range other {
		other[i] ^= byte(1 + random()%255)
	}
	return other
}

// WithOtherKey returns a NIC like n, with a key that differs from n's in every byte.
func WithOtherKey(n *nic.NIC, random func() uint64) (*nic.NIC, error) {
	config := n.Config()
	config.Key = OtherKey(config.Key, random)
	return nic.New(config)
}

// Rewritten returns a table in which every other entry names the next queue: half of the hashes move, half stay.
func Rewritten(table rss.Table) rss.Table {
	other, queues := slices.Clone(table), table.Queues()
	for i := 0; i < len(other); i += 2 {
		other[i] = rss.Queue((int(other[i]) + 1) % queues)
	}
	return other
}

// Differ returns the share of the slots that another model of a table of the same size gives to another replica.
func (m Model) Differ(other Model) float64 {
	changed := 0
	for slot, owner := range m.slots {
		if other.slots[slot] != owner {
			changed++
		}
	}
	return float64(changed) / float64(len(m.slots))
}
