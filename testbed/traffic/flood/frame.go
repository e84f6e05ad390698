package flood

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/rss/packet"
	"lbctl/testbed/netns"
)

// template is a frame to one destination, from the first address of the network.
type template [frameLength]byte

// Where things are in a frame without VLAN tags or options; its length.
const (
	ipAt        = packet.EthernetLength
	tcpAt       = ipAt + packet.IPv4MinLength
	frameLength = tcpAt + packet.TCPMinLength
)

// Flow returns the flow of frame n.
func (s *Sender) Flow(n uint64) packet.Flow {
	source, port := s.source(n)
	return packet.Flow{
		Source:      netip.AddrPortFrom(netip.AddrFrom4(source), port),
		Destination: s.config.To[n%uint64(len(s.config.To))],
		Protocol:    packet.TCP,
	}
}

// Two odd constants (2^32 divided by the golden ratio; MurmurHash3's c1). Multiplication by an odd number is a
// bijection of the numbers below a power of two: different flows have different addresses.
const (
	spreadAddress = 0x9e3779b1
	spreadPort    = 0xcc9e2d51
)

// source returns the address and port that frame n comes from. Ports are 1024 or more.
func (s *Sender) source(n uint64) ([4]byte, uint16) {
	flow := n % s.config.Flows
	network := binary.BigEndian.Uint32(s.config.From.Masked().Addr().AsSlice())
	host := uint32(flow*spreadAddress) & (1<<(32-s.config.From.Bits()) - 1)
	var address [4]byte
	binary.BigEndian.PutUint32(address[:], network|host)
	return address, uint16(1024 + uint32(flow*spreadPort)>>8%(1<<16-1024))
}

func (s *Sender) template(n int) (template, error) {
	network := s.config.From.Masked().Addr()
	b, err := packet.Frame{
		Source: packet.MAC(s.config.Link.MAC), Destination: s.config.Gateway,
		Flow:  packet.Flow{Source: netip.AddrPortFrom(network, 0), Destination: s.config.To[n], Protocol: packet.TCP},
		Flags: s.config.Flags,
	}.Build()
	if err != nil {
		return template{}, err
	}
	return template(b), nil
}

// write writes frame n.
func (s *Sender) write(b []byte, n uint64) {
	t := &s.templates[n%uint64(len(s.templates))]
	copy(b, t[:])
	ip, tcp := packet.IPv4(b[ipAt:]), packet.Segment(b[tcpAt:])
	address, port := s.source(n)
	ipSum, tcpSum := ip.Checksum(), packet.UpdateChecksum(tcp.Checksum(), tcp.SourcePort(), port)
	for i := 0; i < len(address); i += 2 {
		was, is := binary.BigEndian.Uint16(ip[12+i:]), binary.BigEndian.Uint16(address[i:])
		ipSum, tcpSum = packet.UpdateChecksum(ipSum, was, is), packet.UpdateChecksum(tcpSum, was, is)
	}
	ip.SetSource(netip.AddrFrom4(address))
	ip.SetChecksum(ipSum)
	tcp.SetSourcePort(port)
	tcp.SetChecksum(tcpSum)
}

// batch is how many frames a system call sends: as many as a driver takes from its ring in one go (NAPI_POLL_WEIGHT).
const batch = 64

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	unix.Msghdr
	length uint32
}

// socket is an AF_PACKET socket that only sends. One goroutine at a time.
type socket struct {
	fd       int
	frames   [batch][frameLength]byte
	vectors  [batch]unix.Iovec
	messages [batch]message
}

// openSocket binds a socket to a link, to no protocol: it receives nothing.
func openSocket(l netns.Link) (*socket, error) {
	s := &socket{fd: -1}
	err := l.Namespace().Do(func() (err error) {
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open packet socket: %w", err)
		}
		if err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Ifindex: l.Index}); err != nil {
			return fmt.Errorf("bind packet socket to %s: %w", l.Name, err)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	for i := range batch {
		s.vectors[i].Base = &s.frames[i][0]
		s.vectors[i].SetLen(frameLength)
		s.messages[i].Iov, s.messages[i].Iovlen = &s.vectors[i], 1
	}
	return s, nil
}

// frame returns where frame i of the next batch is written.
func (s *socket) frame(i int) []byte { return s.frames[i][:] }

// send sends the first n frames and returns how many of them were taken; less than all is an
// error, but where it is only for now: then none or some were.
func (s *socket) send(n int) (int, error) {
	taken, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[0])), uintptr(n), 0, 0, 0)
	runtime.KeepAlive(s)
	switch errno {
	case 0:
		return int(taken), nil
	case unix.EINTR, unix.EAGAIN, unix.ENOBUFS: // a signal, or the link's queue is full
		return 0, nil
	}
	return 0, fmt.Errorf("sendmmsg: %w", errno)
}

func (s *socket) close() error {
	if s.fd < 0 {
		return nil
	}
	return unix.Close(s.fd)
}
