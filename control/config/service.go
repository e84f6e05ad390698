package config

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"time"

	"lbctl/control/api"
	"lbctl/lb"
	"lbctl/rss/packet"
)

var serviceName = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)

// ResolveService makes a valid service of a document. The error is an *Error, its fields
// without a prefix: "vip", "replicas[0].weight".
func ResolveService(doc api.Service) (Service, error) {
	var ps problems
	s := resolveService(&ps, "", doc)
	if err := ps.err(); err != nil {
		return Service{}, err
	}
	return s, nil
}

func resolveServices(ps *problems, docs []api.Service) []Service {
	if docs == nil {
		ps.add("services", "write the services, or services: [] for none; is the file complete?", "missing")
	}
	services := make([]Service, 0, len(docs))
	first := map[string]int{}
	for n, d := range docs {
		field := fmt.Sprintf("services[%d]", n)
		if j, twice := first[d.Name]; twice {
			ps.add(field+".name", "want every name once", "%s is services[%d] already", d.Name, j)
		} else if d.Name != "" {
			first[d.Name] = n
		}
		services = append(services, resolveService(ps, field+".", d))
	}
	return services
}

func resolveService(ps *problems, field string, d api.Service) Service {
	s := Service{Name: resolveName(ps, field+"name", d.Name)}
	s.VIP = lb.VIP{
		Address:  address(ps, field+"vip", d.VIP),
		Protocol: protocol(ps, field+"protocol", d.Protocol),
	}
	s.Mode = choice(ps, field+"mode", d.Mode, lb.NAT, lb.ParseMode, lb.NAT, lb.DSR, lb.IPIP)
	s.Scheduler = choice(ps, field+"scheduler", d.Scheduler, lb.Modulo, lb.ParseScheduler, lb.Modulo, lb.Maglev)
	s.Hash = choice(ps, field+"hash", d.Hash, lb.JHash, lb.ParseHash, lb.JHash, lb.ToeplitzHash)
	s.Seed = whole(ps, field+"seed", d.Seed)
	if s.Seed != 0 && s.Hash == lb.ToeplitzHash {
		ps.add(field+"seed", "leave the seed out, or use the hash jhash", "%d with toeplitz, which has no seed", s.Seed)
	}
	if d.TableSize != nil {
		s.TableSize = tableSize(ps, field+"table_size", *d.TableSize)
	}
	s.Tracking = choice(ps, field+"tracking", d.Tracking, lb.DefaultTracking(s.VIP.Protocol), lb.ParseTracking,
		lb.Stateless, lb.TrackChanges, lb.TrackAlways)
	s.Idle = idle(ps, field+"idle", d.Idle)
	s = s.withReplicas(resolveReplicas(ps, field+"replicas", d.Replicas))
	s.Service = s.WithDefaults()
	return s
}

// idle refuses what package lb takes for the default; it judges the rest.
func idle(ps *problems, field string, text api.Duration) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d == 0 {
		ps.add(field, fmt.Sprintf("want whole seconds from %v to %v, as in 90s or 10m", lb.MinIdle, lb.MaxIdle), "%q is not a time to be idle", text)
	}
	return d
}

func resolveName(ps *problems, field, name string) string {
	switch {
	case name == "":
		ps.add(field, "give the service a name: name: web; is the file complete?", "missing")
	case !serviceName.MatchString(name):
		ps.add(field, "want 1 to 63 of a-z, 0-9 and the hyphen", "%q cannot be a name", name)
	}
	return name
}

// address parses an address and port.
func address(ps *problems, field, text string) netip.AddrPort {
	const want = `want an address and a port: 192.0.2.1:80 or "[2001:db8::1]:80"`
	if text == "" {
		ps.add(field, want+"; is the file complete?", "missing")
		return netip.AddrPort{}
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		ps.add(field, want, "%q is not an address and a port", text)
	}
	return a
}

func protocol(ps *problems, field, text string) packet.Protocol {
	if text == "" {
		return packet.TCP
	}
	p, err := packet.ParseProtocol(text)
	if err != nil {
		ps.add(field, "want tcp or udp", "%q is not known", text)
	}
	return p
}

// tableSize refuses 0, which package lb takes for the default.
func tableSize(ps *problems, field string, n int64) uint32 {
	if n < 1 || n > math.MaxUint32 {
		ps.add(field, fmt.Sprintf("want a prime, %d for instance, or leave it out", lb.DefaultMaglevSize), "%d is out of range", n)
		return 0
	}
	return uint32(n)
}
