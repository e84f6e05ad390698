package wire

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"lbctl/control/api"
	"lbctl/control/intent"
)

// maxNote is the length in characters of the longest note.
const maxNote = 200

// ResolveOverride makes an override of a document that sets something. What is read-only in it is not used. The error is
// an *intent.Error with fields "state", "drain_until", "weight" and "note".
func ResolveOverride(doc api.Override) (intent.Override, error) {
	var ps intent.Problems
	o := resolveOverride(&ps, "", doc)
	return o, ps.Err()
}

func resolveOverride(ps *intent.Problems, field string, doc api.Override) intent.Override {
	if doc.State == "" && doc.Weight == nil {
		ps.Add(field+"state", "want a state (active, draining or down), a weight, or both; to have the replica as declared, delete the override", "nothing is set by hand")
		return intent.Override{}
	}
	r := resolveReplicaValues(ps, field, api.Replica{Weight: doc.Weight, State: doc.State, DrainUntil: doc.DrainUntil})
	o := intent.Override{SetsState: doc.State != "", State: r.State, DrainUntil: r.DrainUntil, Note: note(ps, field+"note", doc.Note)}
	if doc.Weight != nil {
		o.Weight = r.Weight
	}
	return o
}

// note refuses what would not be a line of text.
func note(ps *intent.Problems, field, text string) string {
	for _, r := range text {
		if unicode.IsControl(r) || r == utf8.RuneError {
			ps.Add(field, "want one line of text, as in: disk is being replaced", "%q is not one", text)
			return ""
		}
	}
	if n := utf8.RuneCountInString(text); n > maxNote {
		ps.Add(field, fmt.Sprintf("want at most %d, as in: disk is being replaced", maxNote), "%d characters", n)
	}
	return text
}

// ResolveOverrides makes overrides of a list. The error is an *intent.Error; whether there are such replicas is not asked.
func ResolveOverrides(docs []api.ReplicaOverride) ([]intent.Set, error) {
	var ps intent.Problems
	if docs == nil {
		ps.Add("overrides", "write the overrides, or overrides: [] for none", "missing")
	}
	all := make([]intent.Set, 0, len(docs))
	first := make(map[intent.Target]int, len(docs))
	for n, d := range docs {
		field := fmt.Sprintf("overrides[%d].", n)
		t := intent.Target{Service: resolveName(&ps, field+"service_name", "service", "web", d.ServiceName), Replica: address(&ps, field+"replica", d.Replica)}
		if k, twice := first[t]; twice {
			ps.Add(field+"replica", "want every replica of a service once", "%v of %s is overrides[%d] already", t.Replica, t.Service, k)
		}
		first[t] = n
		all = append(all, intent.Set{Target: t, Override: resolveOverride(&ps, field, d.Override)})
	}
	return all, ps.Err()
}

// StoredOverrides makes overrides of a list that Overrides has returned, with who has set them and when.
func StoredOverrides(docs []api.ReplicaOverride) (intent.Overrides, error) {
	all, err := ResolveOverrides(docs)
	for n, d := range docs {
		all[n].Actor = d.Actor
		all[n].Since, _ = time.Parse(time.RFC3339, d.Since) // it was never wrong, and nothing depends on it
	}
	return intent.Overridden(all), err
}

// Overrides returns what was set by hand, in the order of services and replicas.
func Overrides(i intent.Intent) []api.ReplicaOverride {
	all := make([]api.ReplicaOverride, 0, len(i.Overrides))
	for _, b := range i.ByHand() {
		all = append(all, ReplicaOverride(b))
	}
	return all
}

// ReplicaOverride returns an override as a document, with what is read-only.
func ReplicaOverride(b intent.ByHand) api.ReplicaOverride {
	return api.ReplicaOverride{ServiceName: b.Service, Replica: b.Target.Replica.String(), Override: Override(b.Override), Declared: Declared(b.Declared)}
}

// Override is ReplicaOverride without the replica.
func Override(o intent.Override) api.Override {
	doc := api.Override{Note: o.Note, Actor: o.Actor, Since: timeText(o.Since)}
	if o.SetsState {
		doc.State, doc.DrainUntil = o.State.String(), timeText(o.DrainUntil)
	}
	if o.Weight != 0 {
		doc.Weight = number(o.Weight)
	}
	return doc
}

// Declared returns what is declared of a replica.
func Declared(r intent.Replica) *api.Declared {
	return &api.Declared{Weight: number(r.Weight), State: r.State.String(), DrainUntil: timeText(r.DrainUntil)}
}

// OverrideChanges returns what a change does to what was set by hand: what is set, taken back, or gone with its replica;
// and what it keeps, if kept is true.
func OverrideChanges(old, next intent.Intent, kept bool) (all []api.OverrideChange) {
	for _, b := range next.ByHand() {
		was, had := old.Overrides[b.Target]
		switch same := had && was.SameAs(b.Override); {
		case !same:
			all = append(all, api.OverrideChange{Verb: "set", ReplicaOverride: ReplicaOverride(b)})
		case kept:
			all = append(all, api.OverrideChange{Verb: "kept", ReplicaOverride: ReplicaOverride(b)})
		}
	}
	for _, b := range old.ByHand() {
		if _, still := next.Overrides[b.Target]; still {
			continue
		}
		verb := "removed"
		if next.Has(b.Target) {
			verb = "taken_back"
		}
		all = append(all, api.OverrideChange{Verb: verb, ReplicaOverride: ReplicaOverride(b)})
	}
	return all
}
