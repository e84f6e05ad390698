package contract

import (
	"math/rand/v2"
	"slices"
	"time"

	"lbctl/lb"
)

// randomEdit returns a service with one or two changes such as an operator makes, or health does.
func randomEdit(r *rand.Rand, s lb.Service) lb.Service {
	s = s.Clone()
	for range 1 + r.IntN(2) {
		edits()[r.IntN(len(edits()))](r, &s)
	}
	return sized(s, s.TableSize)
}

// edits are the ways to change a service. That of the replicas' states is there more than once: it is the most frequent one.
func edits() []func(r *rand.Rand, s *lb.Service) {
	return []func(r *rand.Rand, s *lb.Service){
		editState, editState, editState, addReplica, removeReplica, weigh,
		func(r *rand.Rand, s *lb.Service) { s.Seed = r.Uint32N(2) },
		func(r *rand.Rand, s *lb.Service) { s.Hash = lb.Hash(r.IntN(2)) },
		editTracking,
		func(r *rand.Rand, s *lb.Service) {
			r.Shuffle(len(s.Replicas), func(i, j int) { s.Replicas[i], s.Replicas[j] = s.Replicas[j], s.Replicas[i] })
		},
		func(r *rand.Rand, s *lb.Service) { s.TableSize = []uint32{7, 13, 251, 509}[r.IntN(4)] },
	}
}

func editState(r *rand.Rand, s *lb.Service) {
	if len(s.Replicas) > 0 {
		s.Replicas[r.IntN(len(s.Replicas))].State = randomState(r)
	}
}

// randomState is mostly active.
func randomState(r *rand.Rand) lb.ReplicaState {
	return []lb.ReplicaState{lb.Active, lb.Active, lb.Active, lb.Active, lb.Draining, lb.Down}[r.IntN(6)]
}

func editTracking(r *rand.Rand, s *lb.Service) {
	if s.Tracking, s.Idle = lb.Tracking(r.IntN(3)), 0; s.Tracking != lb.Stateless {
		s.Idle = time.Duration(1+r.IntN(3)) * idle
	}
}

func addReplica(r *rand.Rand, s *lb.Service) { s.Replicas = append(s.Replicas, randomMember(r, *s)) }

func removeReplica(r *rand.Rand, s *lb.Service) {
	if n := len(s.Replicas); n > 0 {
		i := r.IntN(n)
		s.Replicas = slices.Delete(s.Replicas, i, i+1)
	}
}

func weigh(r *rand.Rand, s *lb.Service) {
	if len(s.Replicas) > 0 {
		s.Replicas[r.IntN(len(s.Replicas))].Weight = randomWeight(r, s.Scheduler)
	}
}
