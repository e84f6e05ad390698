package wire

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// ResolvePool makes a valid pool of a document. The error is an *intent.Error, its fields without a prefix. Whether a service can
// have the replicas is seen beside the services that use it.
func ResolvePool(doc api.Pool) (intent.Pool, error) {
	var ps intent.Problems
	p := resolvePool(&ps, doc)
	return p, ps.Err()
}

func resolvePools(ps *intent.Problems, docs []api.Pool) []intent.Pool {
	pools := make([]intent.Pool, 0, len(docs))
	first := map[string]int{}
	for n, d := range docs {
		var of intent.Problems
		if j, twice := first[d.Name]; twice {
			of.Add("name", "want every name once", "%s is pools[%d] already", d.Name, j)
		} else if d.Name != "" {
			first[d.Name] = n
		}
		pools = append(pools, resolvePool(&of, d))
		ps.AddWithin("pools", n, of)
	}
	return pools
}

func resolvePool(ps *intent.Problems, d api.Pool) intent.Pool {
	p := intent.Pool{Name: resolveName(ps, "name", "pool", "backends", d.Name)}
	if d.Replicas == nil {
		ps.Add("replicas", "write the replicas, or replicas: [] for none; is the file complete?", "missing")
	}
	p.Replicas = resolveReplicas(ps, d.Replicas, resolveMember)
	first := map[netip.AddrPort]int{}
	for n, r := range p.Replicas {
		if j, twice := first[r.Address]; twice && r.Address.IsValid() {
			ps.Add(fmt.Sprintf("replicas[%d].address", n), "want every replica once; for a larger share give it a weight", "%s is replicas[%d] already", memberText(r.Address), j)
		}
		first[r.Address] = n
	}
	return p
}

// resolveMember makes a replica of a pool. Without a port it has the port 0.
func resolveMember(ps *intent.Problems, d api.Replica) intent.Replica {
	const field = "address"
	r := resolveReplicaValues(ps, "", d)
	const want = `want an address, with a port if that is not the service's: 10.1.0.1, 10.1.0.1:8080 or "[2001:db8::1]:8080"`
	a, err := netip.ParseAddr(d.Address)
	r.Address = netip.AddrPortFrom(a, 0)
	if err != nil {
		r.Address, err = netip.ParseAddrPort(d.Address)
		a = r.Address.Addr()
		if err == nil && r.Address.Port() == 0 {
			ps.Add(field, want, "port 0")
		}
	}
	switch {
	case d.Address == "":
		ps.Add(field, want+"; is the file complete?", "missing")
	case err != nil:
		ps.Add(field, want, "%q is not the address of a replica", d.Address)
	case lb.AddressProblem(a) != "":
		ps.Add(field, want, "%s", lb.AddressProblem(a))
	}
	return r
}

// memberText writes the address of a replica of a pool.
func memberText(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// Pool returns a pool as a document.
func Pool(p intent.Pool) api.Pool {
	doc := api.Pool{Name: p.Name, Replicas: make([]api.Replica, 0, len(p.Replicas))}
	for _, r := range p.Replicas {
		doc.Replicas = append(doc.Replicas, api.Replica{
			Address: memberText(r.Address), Weight: number(r.Weight), State: r.State.String(), DrainUntil: timeText(r.DrainUntil),
		})
	}
	return doc
}

// PoolStatus returns a pool as a document, and the services that use it.
func PoolStatus(p intent.Pool, by []string) api.PoolStatus {
	return api.PoolStatus{Pool: Pool(p), UsedBy: append([]string{}, by...)}
}

// OwnReplicas gives the services of a valid document that use pools the replicas of these, beside the name.
func OwnReplicas(c api.Config) api.Config {
	pools := make(map[string]api.Pool, len(c.Pools))
	for _, p := range c.Pools {
		pools[p.Name] = p
	}
	c.Services = slices.Clone(c.Services)
	for n, s := range c.Services {
		if s.Pool == "" {
			continue
		}
		vip, _ := netip.ParseAddrPort(s.VIP)
		for _, r := range pools[s.Pool].Replicas {
			if a, err := netip.ParseAddr(r.Address); err == nil {
				r.Address = netip.AddrPortFrom(a, vip.Port()).String()
			}
			s.Replicas = append(s.Replicas, r)
		}
		c.Services[n] = s
	}
	return c
}

// poolChanges returns the fields in which the pools of two intents differ: of one that is new or removed, one line.
func poolChanges(old, next intent.Intent) (all []api.FieldChange) {
	had := map[string]intent.Pool{}
	for _, p := range old.Pools {
		had[p.Name] = p
	}
	size := func(p intent.Pool) string { return fmt.Sprintf("replicas: %d", len(p.Replicas)) }
	for _, p := range next.Pools {
		was, there := had[p.Name]
		delete(had, p.Name)
		switch field := "pools[" + p.Name + "]"; {
		case !there:
			all = append(all, api.FieldChange{Field: field, After: size(p)})
		case !was.Equal(p):
			all = append(all, compare(field+".", Pool(was), Pool(p))...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(had)) {
		all = append(all, api.FieldChange{Field: "pools[" + name + "]", Before: size(had[name])})
	}
	return all
}
