package rest

import (
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// The phases of a drain. A replica that is active begins to drain, by hand or by the configuration; it has drained
// when no flow would break without it; at its deadline it is set down, drained or not.
const (
	phaseDraining = "draining"
	phaseDrained  = "drained"
	phaseEnded    = "ended"
)

// notes are what a service declares, and what was set by hand on its replicas.
type notes struct {
	declared  []intent.Replica
	name      string
	overrides intent.Overrides
	now       time.Time
}

func (s *Server) notesOf(now *engine.Snapshot, declared intent.Service) notes {
	return notes{declared.AllReplicas(), declared.Name, now.Intent.Overrides, s.engine.Time()}
}

// on says of replica n of a service in its effective state what is not as declared, and how far its drain has come.
func (n notes) on(effective intent.Service, k int, flows lb.Flows) (out api.ByHand) {
	is, declared := effective.Replicas[k], n.declared[k]
	wanted := declared
	if o, set := n.overrides[intent.Target{Service: n.name, Replica: is.Address}]; set {
		doc := wire.Override(o)
		out.Override, out.Declared = &doc, wire.Declared(declared)
		wanted = o.Over(declared, effective)
	}
	if is.State != declared.State || !effective.Deadlines[is.Address].Equal(declared.DrainUntil) {
		out.Declared = wire.Declared(declared)
	}
	if wanted.State == lb.Draining {
		out.DrainPhase = phase(wanted, is, flows, n.now)
	}
	return out
}

// phase is how far the drain of a replica has come.
func phase(wanted intent.Replica, is lb.Replica, flows lb.Flows, now time.Time) string {
	switch {
	case wanted.Expired(now):
		return phaseEnded
	case safe(is, flows):
		return phaseDrained
	}
	return phaseDraining
}

// safe reports whether, as far as is known, no flow would be broken if a replica were removed.
func safe(r lb.Replica, flows lb.Flows) bool {
	f, known := flows.Replicas[r.Address]
	return known && f.None() && r.State != lb.Active
}
