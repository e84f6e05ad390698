package checkpath

import (
	"fmt"
	"net/netip"
	"syscall"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// standIn is what a socket is connected to where the replica's address is of another family than the VIP: in mode ipip, IPv4 in
// IPv6. It is the dummy address of RFC 7600, to which no packet is sent; its route leads to an interface at which the packet
// is turned round.
var standIn = netip.AddrFrom4([4]byte{192, 0, 0, 8})

// target is to whom a socket talks.
type target struct {
	row     bpf.CheckTarget
	targets *ebpf.Map
	peer    netip.Addr
	mark    uint32
	// most is the largest TCP segment, 0 for no limit.
	most int
}

// target returns what checks of a service's replica talk to.
func (p *Path) target(s lb.Service, replica netip.Addr) (target, error) {
	if err := p.load(); err != nil {
		return target{}, err
	}
	t := target{targets: p.objects.Targets, peer: replica, mark: p.options.Mark}
	to, err := p.lookUp(replica)
	if err != nil {
		return target{}, err
	}
	by := to
	if vip := s.VIP.Address.Addr(); vip.Is4() != replica.Is4() {
		t.peer = standIn
		if by, err = p.lookUp(standIn); err != nil {
			return target{}, fmt.Errorf("IPv4 in IPv6 takes a route for IPv4, too: %w", err)
		}
		t.row.Onward = uint32(to.link)
	}
	switch {
	case !to.source.IsValid() || !by.source.IsValid():
		return target{}, errNoAddress
	case by.source == s.VIP.Address.Addr():
		return target{}, fmt.Errorf("the VIP is this host's address towards it: give %s another one, before the VIP", by.name)
	}
	if err := p.hold(by); err != nil {
		return target{}, err
	}
	t.fill(s, replica, to.source, by.link)
	if s.Mode == lb.IPIP {
		t.most = mostSegment(to.mtu-s.Overhead(replica), t.peer)
	}
	return t, nil
}

// fill writes the row.
func (t *target) fill(s lb.Service, replica, source netip.Addr, link int) {
	t.row.Vip, t.row.Peer, t.row.Replica = bpf.Address(s.VIP.Address.Addr()), bpf.Address(t.peer), bpf.Address(replica)
	t.row.Source, t.row.Ifindex = bpf.Address(source), uint32(link)
	t.row.Seed, t.row.Mode = s.Seed, uint8(s.Mode)
	t.row.IpVersion = bpf.Endpoint(netip.AddrPortFrom(replica, 0), 0).IpVersion
	t.row.TunnelPort = bpf.Port(s.TunnelPort)
	if s.Encapsulation != lb.Plain {
		t.row.UdpBytes = 8
	}
	if s.TunnelSources.IsValid() {
		t.row.FirstSource, t.row.Sources, _ = bpf.Sources(s.TunnelSources)
	}
}

// mostSegment is the largest TCP segment in a packet of so many bytes; no more than what IPv6 carries everywhere.
func mostSegment(bytes int, peer netip.Addr) int {
	head := 60
	if peer.Is4() {
		head = 40
	}
	const least, everywhere = 88, 1220 // of TCP_MAXSEG; of 1280 bytes
	return max(least, min(bytes-head, everywhere))
}

// prepare readies a socket before it is connected.
func (t target) prepare(network, _ string, c syscall.RawConn) (err error) {
	outside := c.Control(func(fd uintptr) { err = t.prepareSocket(int(fd), network) })
	if outside != nil {
		return outside
	}
	return err
}

func (t target) prepareSocket(fd int, network string) error {
	if err := t.targets.Update(int32(fd), t.row, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("give a check's socket its VIP: %w", lb.Denied(err))
	}
	for _, o := range t.options(network) {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("set the option %s of a check's socket: %w", o.what, lb.Denied(err))
		}
	}
	if network == "tcp4" || network == "tcp6" {
		// A port is not to be used up by each check for a minute: close by a reset.
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return fmt.Errorf("set the option SO_LINGER of a check's socket: %w", err)
		}
	}
	// A port of its own: answers are known by it, whatever other sockets of the same port there could be to other peers.
	var any unix.Sockaddr = &unix.SockaddrInet4{}
	if t.peer.Is6() {
		any = &unix.SockaddrInet6{}
	}
	if err := unix.Bind(fd, any); err != nil {
		return fmt.Errorf("bind a check's socket to a port: %w", err)
	}
	return nil
}

// option is a socket option.
type option struct {
	what               string
	level, name, value int
}

func (t target) options(network string) []option {
	all := []option{
		{"SO_MARK", unix.SOL_SOCKET, unix.SO_MARK, int(t.mark)},
		{"SO_BINDTOIFINDEX", unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, int(t.row.Ifindex)},
	}
	switch network {
	case "tcp4", "tcp6":
		if t.most > 0 {
			all = append(all, option{"TCP_MAXSEG", unix.IPPROTO_TCP, unix.TCP_MAXSEG, t.most})
		}
	case "udp4": // what does not fit is an error, rather than fragments, which are not sent
		all = append(all, option{"IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO})
	case "udp6":
		all = append(all, option{"IPV6_MTU_DISCOVER", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO})
	}
	return all
}
