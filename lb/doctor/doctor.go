// Package doctor judges whether a network namespace is fit for the XDP load balancer, or for a
// replica behind it: Facts go in, Findings come out, each with its cure.
//
// Nothing here touches the kernel, so that every finding can be tested on facts that are
// broken on purpose. Package netstate gathers the facts of the namespace that it is called in.
//
// What loses packets without an error anywhere is taken from the kernel's source, Linux 6.18:
// net/core/filter.c (bpf_fib_lookup), net/core/dev.c (generic XDP), drivers/net/veth.c,
// drivers/net/virtio_net.c, net/ipv4/fib_frontend.c (source validation), net/ipv4/arp.c.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says what a finding means for the packets.
type Severity string

const (
	// Problem: packets are lost or misdirected, or the interface cannot be attached.
	Problem Severity = "problem"
	// Warning: it works, slower or only for some packets.
	Warning Severity = "warning"
	// Unknown: it cannot be seen from here.
	Unknown Severity = "unknown"
	// OK: as it should be.
	OK Severity = "ok"
)

// Severities returns all of them, the worst first.
func Severities() []Severity { return []Severity{Problem, Warning, Unknown, OK} }

// Finding is what one check says of one subject. Scripts rely on its names.
type Finding struct {
	// Name is the check's.
	Name string `json:"name"`
	// Subject is an interface, a VIP, a replica, a service, a table, the reason of a limit or "host".
	Subject  string   `json:"subject"`
	Severity Severity `json:"severity"`
	// Seen is what was found, Why what depends on it.
	Seen string `json:"seen"`
	Why  string `json:"why"`
	// Cure is a shell command, or a comment of the shell where no command does it. Empty if all is well.
	Cure string `json:"cure,omitempty"`
	// Where is the place to run it; empty: here.
	Where string `json:"where,omitempty"`
}

// Count returns how many findings have a severity.
func Count(all []Finding, s Severity) int {
	n := 0
	for _, f := range all {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Alike returns the findings of one check and severity together, in the order of the first of each.
func Alike(all []Finding) [][]Finding {
	type kind struct {
		name     string
		severity Severity
	}
	at := map[kind]int{}
	var groups [][]Finding
	for _, f := range all {
		k := kind{f.Name, f.Severity}
		n, there := at[k]
		if !there {
			n = len(groups)
			at[k] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], f)
	}
	return groups
}

// worstFirst sorts by severity and leaves the rest in order.
func worstFirst(all []Finding) {
	order := Severities()
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Severity), slices.Index(order, b.Severity))
	})
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

// Examine returns what the checks find, the worst first.
func Examine(f Facts) []Finding {
	own := balancer
	if f.OnReplica {
		own = server
	}
	all := examine(f, "host", own, f.Host, hostChecks())
	for _, i := range f.Interfaces {
		role := own
		if role == balancer && !i.Named {
			role = transit
		}
		all = append(all, examine(f, i.Name, role, i, interfaceChecks())...)
	}
	for _, v := range f.VIPs {
		all = append(all, examine(f, v.Address.String(), own, v, vipChecks())...)
	}
	for _, r := range f.Replicas {
		all = append(all, examine(f, r.Address.String(), own, r, replicaChecks())...)
	}
	for _, s := range f.Services {
		all = append(all, examine(f, s.VIP.String(), own, s, serviceChecks())...)
	}
	for _, t := range f.Tables {
		all = append(all, examine(f, t.Name, own, t, tableChecks())...)
	}
	for _, l := range f.Limits {
		all = append(all, examine(f, string(l.Reason), own, l, limitChecks())...)
	}
	worstFirst(all)
	return all
}

// examine runs those of the checks on a subject that apply to its role.
func examine[S any](f Facts, subject string, role roleSet, s S, checks []check[S]) []Finding {
	var all []Finding
	for _, c := range checks {
		if c.roles&role == 0 {
			continue
		}
		v := c.judge(f, s)
		if v.severity == "" {
			continue
		}
		all = append(all, Finding{Name: c.name, Subject: subject, Severity: v.severity, Seen: v.seen, Why: c.why, Cure: v.cure, Where: v.where})
	}
	return all
}
