package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/lb"
)

// healthy are the facts of a balancer between clients at eth0 and a replica at eth1, in mode nat.
func healthy() Facts {
	return Facts{
		Host:       Host{Release: "6.18.44", Page: 4096, CPUs: 4, BPFFS: true},
		Interfaces: []Interface{nic("eth0"), nic("eth1")},
		VIPs:       []VIP{{Address: netip.MustParseAddr("192.0.2.1"), Mode: lb.NAT}},
		Replicas: []Replica{{
			Address: netip.MustParseAddr("10.1.0.1"), Mode: lb.NAT,
			Route: Route{Kind: Routed, Interface: "eth1", Source: netip.MustParseAddr("10.1.0.254"), MTU: 1500, Neighbour: "reachable"},
		}},
		Sysctl: Sysctls{
			"net/core/bpf_jit_enable": 1, "net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1,
			"net/ipv4/conf/all/rp_filter": 0, "net/ipv4/conf/eth0/rp_filter": 2, "net/ipv4/conf/eth1/rp_filter": 0,
			"net/ipv4/conf/eth0/forwarding": 1, "net/ipv4/conf/eth1/forwarding": 1,
			"net/ipv6/conf/eth0/forwarding": 1, "net/ipv6/conf/eth1/forwarding": 1,
			"net/ipv4/conf/all/accept_local": 0, "net/ipv4/conf/eth0/accept_local": 0, "net/ipv4/conf/eth1/accept_local": 0,
		},
	}
}

// nic is a NIC with native XDP and nothing attached.
func nic(name string) Interface {
	f := Basic | Redirect | Transmit
	return Interface{
		Name: name, Driver: "i40e", Named: true, Up: true, Carrier: true, Ethernet: true, MTU: 1500, Features: &f,
		Offloads: Offloads{}, Queues: 4, Channels: 4, MaxChannels: 8, RSS: true,
	}
}

// veth makes an interface one end of a veth whose other end, in the same namespace, is fit.
func veth(i *Interface) {
	i.Kind, i.Driver, i.Channels, i.MaxChannels, i.Queues, i.RSS = "veth", "veth", 0, 0, 1, false
	i.Peer = &Interface{Name: i.Name + "-peer", Kind: "veth", MTU: i.MTU, Offloads: Offloads{"rx-gro": {On: true}}}
}

// away puts a veth's other end into another namespace.
func away(i *Interface) {
	veth(i)
	i.Peer, i.PeerIndex = nil, 7
}

// aCase is one named change of fit facts and the findings that it adds, as line has them.
type aCase struct {
	name   string
	change func(*Facts)
	want   []string
}

// line is a finding in short.
func line(f Finding) string {
	text := fmt.Sprintf("%s %s %s: %s", f.Severity, f.Subject, f.Name, f.Seen)
	if f.Cure != "" {
		text += " | " + f.Cure
	}
	if f.Where != "" {
		text += " @ " + f.Where
	}
	return text
}

func lines(f Facts) []string {
	var all []string
	for _, x := range Examine(f) {
		all = append(all, line(x))
	}
	return all
}

// try runs cases, each on fresh facts: what is found more than in the fit ones must be exactly what is wanted.
func try(t *testing.T, fit func() Facts, cases []aCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before, broken := lines(fit()), fit()
			c.change(&broken)
			added := slices.DeleteFunc(lines(broken), func(l string) bool { return slices.Contains(before, l) })
			if diff := cmp.Diff(c.want, added, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("findings added (-want +got):\n%s", diff)
			}
		})
	}
}

// A fit balancer has nothing to cure; what its replica does cannot be seen from here.
func TestHealthy(t *testing.T) {
	var open []string
	for _, l := range lines(healthy()) {
		if len(l) < 3 || l[:3] != "ok " {
			open = append(open, l)
		}
	}
	want := []string{"unknown 10.1.0.1 return-path: not visible from here: the replica's route to clients must lead here, via 10.1.0.254" +
		" | ip route replace default via 10.1.0.254 @ on the replica 10.1.0.1"}
	if diff := cmp.Diff(want, open); diff != "" {
		t.Errorf("not ok (-want +got):\n%s", diff)
	}
	if n := Count(Examine(healthy()), Unknown); n != 1 {
		t.Errorf("%d unknown, want 1", n)
	}
}

// Whatever the facts are, findings come the worst first, and each that is not ok has its cure and all have their why.
func TestEveryFindingIsComplete(t *testing.T) {
	for name, f := range map[string]Facts{
		"nothing known": {}, "a replica of which nothing is known": {OnReplica: true, Mode: lb.IPIP, Interfaces: []Interface{{Name: "eth0"}}},
		"an interface of which nothing is known": {Interfaces: []Interface{{Name: "eth0", Named: true}}, VIPs: []VIP{{}}, Replicas: []Replica{{}}},
	} {
		worst := 0
		for _, x := range Examine(f) {
			at := slices.Index(Severities(), x.Severity)
			if at < worst {
				t.Errorf("%s: %s comes after worse", name, line(x))
			}
			worst = at
			if x.Why == "" || x.Seen == "" || x.Subject == "" || (x.Cure == "") != (x.Severity == OK) {
				t.Errorf("%s: %+v is not complete", name, x)
			}
		}
	}
}
