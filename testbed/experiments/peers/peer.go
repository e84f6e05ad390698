package peers

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/load"
	"lbctl/testbed/packages"
)

// role is what a peer is measured for.
type role int

const (
	// baseline is what there is without balancing.
	baseline role = iota
	// subject is the load balancer of this program.
	subject
	// rival is another one.
	rival
	// variant is a subject that is measured for information.
	variant
	// control is a subject with something broken.
	control
)

// peer is one way to bring requests to replicas.
type peer struct {
	name    string
	summary string
	role    role
	// program is what has to be installed, packages are Debian's that have it.
	program  string
	packages []string
	// features are what the kernel must have for it.
	features []feature
	// start starts the balancer of a path. If it is a process, start records it in the path.
	start func(context.Context, *bench, *path) error
	// untracked demands that connection tracking knows no connection of it.
	untracked bool
	// noUDP says why the peer takes no datagrams.
	noUDP string
	// mode is that of XDP, empty where there is none; slow makes the wires slow.
	mode lb.AttachMode
	slow int
}

// subjectName is the peer that the claims are about.
const subjectName = "lbctl"

// direct is the peer that all are compared with: clients know the replicas and spread their
// connections themselves. The difference to it is all that a balancer costs: its own work, and one more hop for packets.
const direct = "direct"

// all returns every peer there is.
func all() []peer {
	return []peer{
		{name: direct, summary: "to a replica's own address, over as much wire: no balancer"},
		{name: "forward", summary: "to a replica's own address, over the hops as by a balancer: the kernel forwards", start: route},
		{name: "xdp", summary: "to a replica's own address, over the hops as by a balancer: the least XDP program forwards", start: startXDP, mode: lb.Native},
		{name: subjectName, role: subject, summary: "lbctl serve, mode nat, native XDP", start: startProduct, mode: lb.Native},
		{name: "lbctl-generic", role: variant, summary: "lbctl serve, mode nat, generic XDP", start: startProduct, mode: lb.Generic},
		{name: "nftables", role: rival, summary: "DNAT by a jhash map of nftables, with connection tracking", program: "nft", packages: []string{"nftables"}, features: []feature{natChains(), hashes()}, start: startTracked},
		{name: "nftables-stateless", role: rival, summary: "addresses rewritten by a jhash map of nftables in the ingress hook, without connection tracking", program: "nft", packages: []string{"nftables"}, features: []feature{ingress(), hashes(), forwards()}, start: startStateless, untracked: true},
		{name: "haproxy", role: rival, summary: "HAProxy in TCP mode, tuned: a thread bound to each core, buffers of 128 KiB", program: "haproxy", packages: []string{"haproxy"}, start: startHAProxy, noUDP: "HAProxy's TCP mode carries no UDP"},
		{name: "nginx", role: rival, summary: "the stream module of nginx, tuned: a worker bound to each core, buffers of 128 KiB", program: "nginx", packages: []string{"nginx-light", "libnginx-mod-stream"}, start: startNginx},
		{name: slowed, role: control, summary: "lbctl on wires where each frame waits", start: startProduct, mode: lb.Native, slow: 250},
	}
}

// slowed is the control, which cannot be chosen by name.
const slowed = "slowed"

// usual stands for usualPeers in a list of peers.
const usual, usualPeers = "usual", "direct,xdp,lbctl,nftables,nftables-stateless,haproxy,nginx"

// choose returns the peers of a comma-separated list, and the control if there is
// a baseline to compare it with.
func choose(list string) (chosen []peer, err error) {
	var known []string
	for _, p := range all() {
		if p.role != control {
			known = append(known, p.name)
		}
	}
	if list == usual {
		list = usualPeers
	}
	for name := range strings.SplitSeq(list, ",") {
		i := slices.Index(known, strings.TrimSpace(name))
		if i < 0 {
			return nil, fmt.Errorf("%q is not known: want some of %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, find(known[i]))
	}
	slices.SortFunc(chosen, func(a, b peer) int { return rank(a.name) - rank(b.name) })
	chosen = slices.CompactFunc(chosen, func(a, b peer) bool { return a.name == b.name })
	if has(chosen, direct) && has(chosen, subjectName) {
		chosen = append(chosen, find(slowed))
	}
	return chosen, nil
}

func rank(name string) int {
	return slices.IndexFunc(all(), func(p peer) bool { return p.name == name })
}

func find(name string) peer { return all()[rank(name)] }

func has(list []peer, name string) bool {
	return slices.ContainsFunc(list, func(p peer) bool { return p.name == name })
}

// refuses says why a peer cannot do some work; empty: it can.
func (p peer) refuses(w load.Work) string {
	if w.Protocol == packet.UDP {
		return p.noUDP
	}
	return ""
}

// programs finds what the peers need, and installs what is missing unless that is forbidden. The
// result is the path of each program. Errors wrap lb.ErrNotFound.
func (p *parameters) programs(ctx context.Context) (map[string]string, error) {
	found, missing := installed(p.chosen)
	if len(missing) == 0 {
		return found, nil
	}
	if p.noInstall {
		return nil, fmt.Errorf("find programs of peers: %w: install the packages %s, or leave out those peers with --peers", lb.ErrNotFound, strings.Join(missing, ", "))
	}
	if err := packages.Install(ctx, missing...); err != nil {
		return nil, fmt.Errorf("%w, or leave out those peers with --peers", err)
	}
	if found, missing = installed(p.chosen); len(missing) > 0 {
		return nil, fmt.Errorf("find programs of peers: %w: still missing after installing %s", lb.ErrNotFound, strings.Join(missing, ", "))
	}
	return found, nil
}

// installed returns the programs that are installed, and the packages of those that are not.
func installed(chosen []peer) (found map[string]string, missing []string) {
	found = map[string]string{}
	for _, p := range chosen {
		if p.program == "" {
			continue
		}
		path, err := where(p.program)
		if err != nil || p.program == "nginx" && !streams(path) {
			missing = append(missing, p.packages...)
			continue
		}
		found[p.program] = path
	}
	return found, slices.Compact(missing)
}

// streams tells whether an nginx has the stream module, built in or as Debian's file.
func streams(program string) bool {
	said, _ := exec.Command(program, "-V").CombinedOutput()
	return len(streamModule("nginx")) > 0 || strings.Contains(string(said)+" ", "--with-stream ")
}
