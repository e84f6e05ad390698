package oracle_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// edit changes one thing of the service; the rest follows so that it is valid.
func (s *shadow) edit() {
	n := &s.service
	n.Replicas = slices.Clone(n.Replicas)
	if n.Tracking != lb.Stateless && n.Idle == 0 {
		n.Idle = lb.MinIdle
	}
	edits := []func(){s.editState, s.editState, s.editState, s.addReplica, s.addReplica, s.removeReplica, s.editWeight, s.editTable, s.editHash, s.editTracking}
	edits[rapid.IntRange(0, len(edits)-1).Draw(s.t, "edit")]()
	if n.Scheduler == lb.Modulo {
		n.TableSize = n.Active()
		for i := range n.Replicas {
			n.Replicas[i].Weight = 1
		}
	}
}

// place draws the index of a replica, false if there is none.
func (s *shadow) place() (int, bool) {
	if len(s.service.Replicas) == 0 {
		return 0, false
	}
	return rapid.IntRange(0, len(s.service.Replicas)-1).Draw(s.t, "replica"), true
}

func (s *shadow) editState() {
	if i, found := s.place(); found {
		s.service.Replicas[i].State = rapid.SampledFrom([]lb.ReplicaState{lb.Active, lb.Active, lb.Draining, lb.Down}).Draw(s.t, "state")
	}
}

func (s *shadow) editWeight() {
	if i, found := s.place(); found {
		s.service.Replicas[i].Weight = rapid.Uint16Range(1, 4).Draw(s.t, "weight")
	}
}

func (s *shadow) removeReplica() {
	if i, found := s.place(); found {
		s.service.Replicas = slices.Delete(s.service.Replicas, i, i+1)
	}
}

func (s *shadow) addReplica() {
	r := lb.Replica{Address: replicaAddress(rapid.IntRange(0, 4).Draw(s.t, "address")), Weight: 1}
	if slices.ContainsFunc(s.service.Replicas, func(q lb.Replica) bool { return q.Address == r.Address }) {
		return
	}
	i := rapid.IntRange(0, len(s.service.Replicas)).Draw(s.t, "place")
	s.service.Replicas = slices.Insert(s.service.Replicas, i, r)
}

func (s *shadow) editTable() {
	s.service.Scheduler = rapid.SampledFrom([]lb.Scheduler{lb.Maglev, lb.Modulo}).Draw(s.t, "scheduler")
	s.service.TableSize = rapid.SampledFrom([]uint32{5, 7, 11}).Draw(s.t, "size")
}

func (s *shadow) editHash() {
	s.service.Hash = rapid.SampledFrom([]lb.Hash{lb.JHash, lb.ToeplitzHash}).Draw(s.t, "hash")
	s.service.Seed = rapid.Uint32Range(0, 1).Draw(s.t, "seed")
}

func (s *shadow) editTracking() {
	choices := []lb.Tracking{lb.TrackChanges, lb.TrackAlways, lb.Stateless}
	if s.service.VIP.Protocol == packet.UDP {
		choices = choices[1:]
	}
	s.service.Tracking = rapid.SampledFrom(choices).Draw(s.t, "tracking")
	s.service.Idle = rapid.SampledFrom([]time.Duration{lb.MinIdle, 2 * lb.MinIdle}).Draw(s.t, "idle")
	if s.service.Tracking == lb.Stateless {
		s.service.Idle = 0
	}
}
