package doctor

import (
	"net/netip"

	"lbctl/lb"
)

// Facts are a network namespace as it was seen, and what the balancer is to do there.
type Facts struct {
	// OnReplica is true on a machine that serves, false on the one that balances.
	OnReplica bool
	// Mode is, on a replica, how packets are brought to it.
	Mode lb.Mode
	// Daemon says whether a running daemon told of services.
	Daemon Daemon
	Host   Host
	// Interfaces are those asked about, then those on the ways to replicas.
	Interfaces []Interface
	VIPs       []VIP
	Replicas   []Replica
	Sysctl     Sysctls
	// Tunnels are the kernel's own that unpack IP in IP.
	Tunnels []Tunnel
	// Default4 and Default6 are the default routes; the zero value if there is none.
	Default4, Default6 Default
}

// Daemon says how a daemon was found.
type Daemon uint8

const (
	// NoDaemon answers.
	NoDaemon Daemon = iota
	// DaemonDenied: there is one, whose socket the caller may not use.
	DaemonDenied
	// DaemonAnswers and told of its services and interfaces.
	DaemonAnswers
)

// Host is the machine.
type Host struct {
	// Release is the kernel's, as uname -r has it.
	Release string
	// Page is the size of a memory page in bytes.
	Page int
	CPUs int
	// BPFFS is whether the BPF file system is mounted at its usual place.
	BPFFS bool
	// OwnMounts is whether the caller's mount namespace is not that of process 1; false where that may not be seen.
	OwnMounts bool
	// Missing are the capabilities that the balancer needs and the caller lacks.
	Missing []string
}

// VIP is a virtual address of a service.
type VIP struct {
	Address netip.Addr
	Mode    lb.Mode
	// Held are the addresses of this namespace that are the VIP.
	Held []Held
	// OnLink is the interface whose network the VIP is in; empty if it is behind a router or nowhere.
	OnLink string
}

// Held is an address on an interface.
type Held struct {
	Interface string
	Prefix    netip.Prefix
}

// Tunnel is a tunnel device of the kernel's.
type Tunnel struct {
	Name string
	// Kind is "ipip" or "ip6tnl".
	Kind string
	Up   bool
}

// Default is a default route.
type Default struct {
	Interface string
	Gateway   netip.Addr
	// AdvMSS is the largest TCP segment that is announced on it, in bytes; 0: by the MTU.
	AdvMSS int
}

// servicesKnown tells whether anything is known of what is balanced.
func (f Facts) servicesKnown() bool { return len(f.VIPs)+len(f.Replicas) > 0 }

// has tells whether a service of that mode and address family is known: of an IPv4 or an IPv6 VIP, or, where VIPs
// are not known, replica.
func (f Facts) has(mode lb.Mode, v6 bool) bool {
	for _, v := range f.VIPs {
		if v.Mode == mode && v.Address.Is6() == v6 {
			return true
		}
	}
	for _, r := range f.Replicas {
		if r.Mode == mode && r.Address.Is6() == v6 {
			return true
		}
	}
	return false
}

// on returns an interface by name.
func (f Facts) on(name string) (Interface, bool) {
	for _, i := range f.Interfaces {
		if i.Name == name {
			return i, true
		}
	}
	return Interface{}, false
}
