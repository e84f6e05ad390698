// Package checkpath sends health checks of replicas the way that clients' packets go. In the modes dsr and ipip these are to
// the VIP, at the replica: so a replica that has not the VIP, or does not decapsulate, is found out, though it answers at its
// own address.
//
// A check is a socket of this process. It is connected to the replica's own address, bound to the interface towards it, and
// carries the replica's VIP as a value of its own in a BPF map. Programs at that interface (bpf/src/check.bpf.c) put the VIP in
// the place of the replica's address, with the outer headers of mode ipip, and back in what it answers. Routes and neighbours
// are those of packets to the replica, the VIP needs none and may be an address of this host. Without its program a packet
// does not leave by another interface.
//
// Not sent are datagrams that do not fit into one packet.
package checkpath

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/nexthop"
	"lbctl/lb/xdp"
)

// DefaultMark is the mark of the sockets of checks (SO_MARK), by which their packets are told from others. It has none of
// the bits that Kubernetes (0xc000), Cilium (0xf00), Calico (0xffff0000) and Tailscale (0xff0000) use.
const DefaultMark = 0xb1

// Options say how checks are sent.
type Options struct {
	// Name tells several balancers of one machine apart: the pin directory.
	Name string
	// Mark is that of the checks' sockets, not 0.
	Mark uint32
	// Attached returns the indexes of the interfaces on which clients' packets come in. Answers to checks are expected there,
	// too.
	Attached func() []int
	Logger   *slog.Logger
	// filters has programs attached as before Linux 6.6.
	filters bool
}

// Path is the way of the checks in one network namespace. Until a check goes to a VIP nothing is loaded or attached. It is
// safe for concurrent use.
type Path struct {
	options Options
	network *nexthop.Network
	done    chan struct{}
	running sync.WaitGroup

	mu sync.Mutex
	// objects is nil until they are loaded, and watcher likewise.
	objects *bpf.CheckObjects
	watcher *nexthop.Watcher
	// routes are kept until the network changes.
	routes map[netip.Addr]route
	holds  map[place]*hold
	// attached are the interfaces on which clients' packets come in, as of the last look; state is the network as it has been
	// since the last change.
	attached []int
	state    nexthop.State
	// failed is why the objects could not be loaded, until the next look.
	failed error
}

// look is how often it is looked whether the programs are still attached and needed.
const look = 5 * time.Second

// Open opens the network namespace of the calling thread, and removes what a process of this name has left there.
func Open(o Options) (*Path, error) {
	if err := Sweep(o.Name); err != nil {
		return nil, err
	}
	network, err := nexthop.Open()
	if err != nil {
		return nil, err
	}
	p := &Path{options: o, network: network, done: make(chan struct{}), routes: map[netip.Addr]route{}, holds: map[place]*hold{}}
	if o.Attached == nil {
		p.options.Attached = func() []int { return nil }
	}
	p.attached = p.options.Attached()
	p.state = network.Gather(p.attached...)
	p.running.Go(p.run)
	return p, nil
}

// run looks after what is attached until Close.
func (p *Path) run() {
	for at := time.NewTicker(look); ; {
		select {
		case <-p.done:
			at.Stop()
			return
		case <-at.C:
			p.look()
		}
	}
}

// Close detaches the programs. No check may be under way.
func (p *Path) Close() error {
	close(p.done)
	p.running.Wait()
	if p.watcher != nil {
		p.watcher.Stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for at := range p.holds {
		err = errors.Join(err, p.release(at))
	}
	if p.objects != nil {
		err = errors.Join(err, p.objects.Close())
	}
	p.network.Close()
	return err
}

// Route says how a check of a service's replica is sent: the address to connect to, and what to do with the socket before
// (net.Dialer.Control), nil for nothing. In mode nat that is the replica's own address. The error says why no check can
// be sent the way of clients' packets; then nothing is known of the replica.
func (p *Path) Route(s lb.Service, replica netip.AddrPort) (to netip.AddrPort, control func(network, address string, c syscall.RawConn) error, err error) {
	if s.Mode == lb.NAT {
		return replica, nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, err := p.target(s, replica.Addr())
	if err != nil {
		return netip.AddrPort{}, nil, fmt.Errorf("send a check to %v at %v: %w", s.VIP.Address, replica.Addr(), err)
	}
	return netip.AddrPortFrom(t.peer, replica.Port()), t.prepare, nil
}

// load loads the programs and begins to follow the network, once.
func (p *Path) load() error {
	if p.objects != nil || p.failed != nil {
		return p.failed
	}
	p.failed = p.loadOnce()
	return p.failed
}

func (p *Path) loadOnce() error {
	spec, err := bpf.LoadCheck()
	if err != nil {
		return fmt.Errorf("read the object that sends checks: %w", err)
	}
	if err := spec.Variables[bpf.CheckVarCheckMark].Set(p.options.Mark); err != nil {
		return fmt.Errorf("set the mark of checks: %w", err)
	}
	var objects bpf.CheckObjects
	if err := xdp.Load(spec, &objects, nil); err != nil {
		return fmt.Errorf("load the programs that send checks: %w", err)
	}
	if p.watcher == nil {
		if p.watcher, err = nexthop.Watch(p.network, p, p.options.Logger); err != nil {
			return errors.Join(err, objects.Close())
		}
	}
	p.objects = &objects
	return nil
}
