package wire

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"time"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/rss/packet"
)

var serviceName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// ResolveService makes a valid service of a document. The error is an *intent.Error, its fields
// without a prefix: "vip", "replicas[0].weight". One that uses a pool has no replicas before the intent is linked.
func ResolveService(doc api.Service) (intent.Service, error) {
	var ps intent.Problems
	s := resolveService(&ps, doc)
	if err := ps.Err(); err != nil {
		return intent.Service{}, err
	}
	return s, nil
}

func resolveServices(ps *intent.Problems, docs []api.Service) []*intent.Service {
	if docs == nil {
		ps.Add("services", "write the services, or services: [] for none; is the file complete?", "missing")
	}
	services := make([]*intent.Service, 0, len(docs))
	first := make(map[string]int, len(docs))
	for n, d := range docs {
		var of intent.Problems
		if j, twice := first[d.Name]; twice {
			of.Add("name", "want every name once", "%s is services[%d] already", d.Name, j)
		} else if d.Name != "" {
			first[d.Name] = n
		}
		s := resolveService(&of, d)
		services = append(services, &s)
		ps.AddWithin("services", n, of)
	}
	return services
}

func resolveService(ps *intent.Problems, d api.Service) intent.Service {
	s := intent.Service{Name: resolveName(ps, "name", "service", "web", d.Name)}
	s.VIP = lb.VIP{
		Address:  address(ps, "vip", d.VIP),
		Protocol: protocol(ps, "protocol", d.Protocol),
	}
	if d.EndPort != nil {
		s.EndPort = endPort(ps, "end_port", *d.EndPort)
	}
	s.Mode = choice(ps, "mode", d.Mode, lb.NAT, lb.ParseMode, lb.NAT, lb.DSR, lb.IPIP)
	s.Encapsulation = choice(ps, "encapsulation", d.Encapsulation, lb.Plain, lb.ParseEncapsulation, lb.Plain, lb.GUE, lb.FOU)
	if d.TunnelPort != nil {
		s.TunnelPort = tunnelPort(ps, "tunnel_port", *d.TunnelPort)
	}
	s.TunnelSources = prefix(ps, "tunnel_sources", d.TunnelSources)
	s.SourceRanges = sourceRanges(ps, "source_ranges", d.SourceRanges)
	s.RateLimit = rateLimit(ps, "rate_limit", d.RateLimit)
	s.Scheduler = choice(ps, "scheduler", d.Scheduler, lb.Modulo, lb.ParseScheduler, lb.Modulo, lb.Maglev)
	s.Hash = choice(ps, "hash", d.Hash, lb.JHash, lb.ParseHash, lb.JHash, lb.ToeplitzHash)
	s.Seed = whole(ps, "seed", d.Seed)
	if s.Seed != 0 && s.Hash == lb.ToeplitzHash {
		ps.Add("seed", "leave the seed out, or use the hash jhash", "%d with toeplitz, which has no seed", s.Seed)
	}
	s.Tracking = choice(ps, "tracking", d.Tracking, lb.DefaultTracking(s.VIP.Protocol), lb.ParseTracking,
		lb.Stateless, lb.TrackChanges, lb.TrackAlways)
	s.Idle = idle(ps, "idle", d.Idle)
	s.Health = resolveHealth(ps, "health.", d.Health, s.Service)
	if s.Health.SlowStart != 0 && s.Scheduler == lb.Modulo {
		ps.Add("health.slow_start", "use scheduler: maglev, or leave it out", "%v with modulo, which gives every replica the same share", s.Health.SlowStart)
	}
	s.Pool = d.Pool
	s = s.WithReplicas(resolveOwn(ps, d))
	if d.TableSize != nil && s.Pool != "" && s.Scheduler == lb.Modulo {
		ps.Add("table_size", "leave it out: it is the number of the pool's active replicas", "%d with modulo and a pool", *d.TableSize)
	} else if d.TableSize != nil {
		s.TableSize = tableSize(ps, "table_size", *d.TableSize)
	}
	s.Service = s.WithDefaults()
	return s
}

// ResolveReplica makes a valid replica of a document. The error is an *intent.Error with
// fields "address", "weight", "state" and "drain_until".
func ResolveReplica(doc api.Replica) (intent.Replica, error) {
	var ps intent.Problems
	r := resolveReplica(&ps, doc)
	return r, ps.Err()
}

// resolveOwn makes the replicas of a service that has them and no pool.
func resolveOwn(ps *intent.Problems, d api.Service) []intent.Replica {
	switch {
	case d.Pool != "" && d.Replicas != nil:
		ps.Add("pool", "want one of the two: replicas of its own, or pool: NAME", "%q beside replicas", d.Pool)
	case d.Pool != "" && !serviceName.MatchString(d.Pool):
		ps.Add("pool", "want 1 to 63 of a-z, 0-9 and the hyphen", "%q cannot be a name", d.Pool)
	case d.Pool == "" && d.Replicas == nil:
		ps.Add("replicas", "write the replicas, replicas: [] for none, or pool: NAME for those of a pool; is the file complete?", "missing, and pool, too")
	}
	return resolveReplicas(ps, d.Replicas, resolveReplica)
}

func resolveReplicas(ps *intent.Problems, docs []api.Replica, resolve func(*intent.Problems, api.Replica) intent.Replica) []intent.Replica {
	replicas := make([]intent.Replica, 0, len(docs))
	for n, d := range docs {
		var of intent.Problems
		replicas = append(replicas, resolve(&of, d))
		ps.AddWithin("replicas", n, of)
	}
	return replicas
}

func resolveReplica(ps *intent.Problems, d api.Replica) intent.Replica {
	at := address(ps, "address", d.Address)
	r := resolveReplicaValues(ps, "", d)
	r.Address = at
	return r
}

// resolveReplicaValues is resolveReplica without the address.
func resolveReplicaValues(ps *intent.Problems, field string, d api.Replica) intent.Replica {
	r := intent.Replica{Replica: lb.Replica{
		Weight: weight(ps, field+"weight", d.Weight),
		State:  choice(ps, field+"state", d.State, lb.Active, lb.ParseReplicaState, lb.Active, lb.Draining, lb.Down),
	}}
	if d.DrainUntil == "" {
		return r
	}
	if r.State != lb.Draining {
		ps.Add(field+"drain_until", "leave it out, or write state: draining", "%s with state %v", d.DrainUntil, r.State)
	}
	r.DrainUntil = deadline(ps, field+"drain_until", d.DrainUntil)
	return r
}

// weight parses a weight; the default is 1.
func weight(ps *intent.Problems, field string, w *int64) uint16 {
	switch {
	case w == nil:
		return 1
	case *w < 1 || *w > math.MaxUint16:
		ps.Add(field, "want 1 to 65535; to send a replica nothing, set its state to down", "%d is not a weight", *w)
		return 1
	}
	return uint16(*w)
}

// deadline parses a time in whole seconds. What is not between the years 1970 and 9999 is a mistake: the zero time would be
// never, and a year of five digits could not be read again.
func deadline(ps *intent.Problems, field, text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	t = t.UTC()
	if err != nil || t.Nanosecond() != 0 || t.Year() < 1970 || t.Year() > 9999 {
		ps.Add(field, "want a time in whole seconds as RFC 3339 writes it: 2030-01-31T12:00:00Z; for never, leave it out", "%q is not a deadline", text)
	}
	return t
}

// idle refuses 0, which package lb takes for the default; lb checks the range.
func idle(ps *intent.Problems, field string, text api.Duration) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d == 0 {
		ps.Add(field, fmt.Sprintf("want whole seconds from %v to %v, as in 90s or 10m", lb.MinIdle, lb.MaxIdle), "%q is not a time to be idle", text)
	}
	return d
}

func resolveName(ps *intent.Problems, field, what, example, name string) string {
	switch {
	case name == "":
		ps.Add(field, fmt.Sprintf("give the %s a name: name: %s; is the file complete?", what, example), "missing")
	case !serviceName.MatchString(name):
		ps.Add(field, "want 1 to 63 of a-z, 0-9 and the hyphen", "%q cannot be a name", name)
	}
	return name
}

// address parses an address and port.
func address(ps *intent.Problems, field, text string) netip.AddrPort {
	const want = `want an address and a port: 192.0.2.1:80 or "[2001:db8::1]:80"`
	if text == "" {
		ps.Add(field, want+"; is the file complete?", "missing")
		return netip.AddrPort{}
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		ps.Add(field, want, "%q is not an address and a port", text)
	}
	return a
}

func protocol(ps *intent.Problems, field, text string) packet.Protocol {
	if text == "" {
		return packet.TCP
	}
	p, err := packet.ParseProtocol(text)
	if err != nil {
		ps.Add(field, "want tcp or udp", "%q is not known", text)
	}
	return p
}

// endPort refuses 0, which package lb takes for none; lb checks the rest.
func endPort(ps *intent.Problems, field string, n int64) uint16 {
	if n < 1 || n > math.MaxUint16 {
		ps.Add(field, "want a port above that of the VIP, or leave it out", "%d is not a port", n)
		return 0
	}
	return uint16(n)
}

// tunnelPort refuses 0, which package lb takes for the default.
func tunnelPort(ps *intent.Problems, field string, n int64) uint16 {
	if n < 1 || n > math.MaxUint16 {
		ps.Add(field, "want 1 to 65535, or leave it out with gue", "%d is not a port", n)
		return 0
	}
	return uint16(n)
}

// prefix parses a range of addresses, the zero value for none.
func prefix(ps *intent.Problems, field, text string) netip.Prefix {
	if text == "" {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		ps.Add(field, "want a prefix: 10.0.0.0/24 or 2001:db8::/64", "%q is not a range of addresses", text)
	}
	return p
}

// tableSize refuses 0, which package lb takes for the default.
func tableSize(ps *intent.Problems, field string, n int64) uint32 {
	if n < 1 || n > math.MaxUint32 {
		ps.Add(field, fmt.Sprintf("want a prime, %d for instance, or leave it out", lb.DefaultMaglevSize), "%d is out of range", n)
		return 0
	}
	return uint32(n)
}
