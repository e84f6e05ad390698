package wire

import (
	"fmt"
	"net/netip"
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
func ResolveOverrides(docs []api.ReplicaOverride) (intent.Overrides, error) {
	var ps intent.Problems
	if docs == nil {
		ps.Add("overrides", "write the overrides, or overrides: [] for none", "missing")
	}
	all := make(intent.Overrides, len(docs))
	first := make(map[intent.Target]int, len(docs))
	for n, d := range docs {
		field := fmt.Sprintf("overrides[%d].", n)
		t := intent.Target{Service: resolveName(&ps, field+"service_name", d.ServiceName), Replica: address(&ps, field+"replica", d.Replica)}
		if k, twice := first[t]; twice {
			ps.Add(field+"replica", "want every replica of a service once", "%v of %s is overrides[%d] already", t.Replica, t.Service, k)
		}
		first[t] = n
		all[t] = resolveOverride(&ps, field, d.Override)
	}
	return all, ps.Err()
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
	return api.ReplicaOverride{ServiceName: b.Service, Replica: b.Replica.String(), Override: Override(b)}
}

// Override is ReplicaOverride without the replica's name.
func Override(b intent.ByHand) api.Override {
	o := api.Override{Note: b.Note, Actor: b.Actor, Since: b.Since, Declared: &api.Declared{
		Weight: number(b.Declared.Weight), State: b.Declared.State.String(), DrainUntil: deadlineText(b.Declared.DrainUntil)}}
	if b.SetsState {
		o.State, o.DrainUntil = b.State.String(), deadlineText(b.DrainUntil)
	}
	if b.Weight != 0 {
		o.Weight = number(b.Weight)
	}
	return o
}

// StoredOverrides makes the overrides of a list that Overrides has returned, also who has set them and when.
func StoredOverrides(docs []api.ReplicaOverride) (intent.Overrides, error) {
	all, err := ResolveOverrides(docs)
	for _, d := range docs {
		replica, _ := netip.ParseAddrPort(d.Replica) // a wrong one is an error by now
		t := intent.Target{Service: d.ServiceName, Replica: replica}
		o := all[t]
		o.Actor, o.Since = d.Actor, d.Since
		all[t] = o
	}
	return all, err
}
