package doctor

import "fmt"

// check is one thing to look at on a subject of type S.
type check[S any] struct {
	// name is what scripts know it by.
	name string
	// why says what depends on it.
	why   string
	judge func(Facts, S) verdict
}

// verdict is what a check says of one subject. The zero value says that the check does not apply.
type verdict struct {
	severity          Severity
	seen, cure, where string
}

func ok(seen string, args ...any) verdict {
	return verdict{severity: OK, seen: fmt.Sprintf(seen, args...)}
}

func bad(s Severity, cure, seen string, args ...any) verdict {
	return verdict{severity: s, cure: cure, seen: fmt.Sprintf(seen, args...)}
}

// at says that the cure is to be run somewhere else.
func (v verdict) at(where string, args ...any) verdict {
	v.where = fmt.Sprintf(where, args...)
	return v
}

// examine runs checks on one subject.
func examine[S any](f Facts, subject string, s S, checks []check[S]) []Finding {
	var all []Finding
	for _, c := range checks {
		v := c.judge(f, s)
		if v.severity == "" {
			continue
		}
		all = append(all, Finding{Name: c.name, Subject: subject, Severity: v.severity, Seen: v.seen, Why: c.why, Cure: v.cure, Where: v.where})
	}
	return all
}

// Examine returns what the checks find, the worst first.
func Examine(f Facts) []Finding {
	all := examine(f, "host", f.Host, hostChecks(f.OnReplica))
	for _, i := range f.Interfaces {
		all = append(all, examine(f, i.Name, i, interfaceChecks(f.OnReplica, i.Named))...)
	}
	for _, v := range f.VIPs {
		all = append(all, examine(f, v.Address.String(), v, vipChecks(f.OnReplica))...)
	}
	for _, r := range f.Replicas {
		all = append(all, examine(f, r.Address.String(), r, replicaChecks())...)
	}
	worstFirst(all)
	return all
}
