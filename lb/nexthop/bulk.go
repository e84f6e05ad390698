package nexthop

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bulk asks the kernel for routes, many in one message: a question and its answer by themselves take four times as long. It is safe
// for concurrent use.
type bulk struct {
	mu     sync.Mutex
	socket int
	// questions and answers are what is sent, and received, used again and again.
	questions, answers []byte
	sequence           uint32
	// lastReply is what was answered last, and last what became of it: addresses next to each other have the same routes.
	lastReply reply
	last      []Answer
}

// reply is what the kernel answers.
type reply struct {
	none                    bool
	family, kind, link, mtu int
	gateway, source         netip.Addr
}

// bulkSize is how many are asked for at a time. Their answers wait in the socket's buffer, which by default has room for twice as many.
const bulkSize = 16

// openBulk opens a socket in the network namespace of the calling thread.
func openBulk() (*bulk, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return &bulk{socket: s, answers: make([]byte, 1<<15)}, nil
}

func (b *bulk) close() { _ = unix.Close(b.socket) }

// routes returns the routes to addresses, as packets of this machine's own take them; of one that has none nil. What could not be
// asked is not in it.
func (b *bulk) routes(addresses []netip.Addr) map[netip.Addr][]Answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := make(map[netip.Addr][]Answer, len(addresses))
	for len(addresses) > 0 {
		n := min(bulkSize, len(addresses))
		b.ask(addresses[:n], found)
		addresses = addresses[n:]
	}
	return found
}

// ask asks for at most bulkSize routes. The kernel has answered all that it answers when the send returns.
func (b *bulk) ask(addresses []netip.Addr, found map[netip.Addr][]Answer) {
	first := b.sequence + 1
	b.questions = b.questions[:0]
	for _, a := range addresses {
		b.sequence++
		b.questions = appendQuestion(b.questions, a, b.sequence)
	}
	if unix.Sendto(b.socket, b.questions, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) != nil {
		return
	}
	for range addresses {
		n, from, err := unix.Recvfrom(b.socket, b.answers, unix.MSG_DONTWAIT)
		if err != nil {
			return // none is left, or some were lost
		}
		if kernel, is := from.(*unix.SockaddrNetlink); !is || kernel.Pid != 0 {
			continue
		}
		for m := b.answers[:n]; len(m) >= unix.NLMSG_HDRLEN; {
			length := int(binary.NativeEndian.Uint32(m))
			if length < unix.NLMSG_HDRLEN || length > len(m) {
				break
			}
			// A late answer to an earlier question counts as out of range.
			if of := binary.NativeEndian.Uint32(m[8:]) - first; of < uint32(len(addresses)) {
				if r, known := replyOf(binary.NativeEndian.Uint16(m[4:]), m[unix.NLMSG_HDRLEN:length]); known {
					found[addresses[of]] = b.answersOf(r)
				}
			}
			m = m[min((length+3)&^3, len(m)):]
		}
	}
}

// appendQuestion appends a request of type RTM_GETROUTE: what netlink.RouteGet asks.
func appendQuestion(to []byte, a netip.Addr, sequence uint32) []byte {
	address := a.AsSlice()
	native := binary.NativeEndian
	to = native.AppendUint32(to, uint32(unix.NLMSG_HDRLEN+unix.SizeofRtMsg+4+len(address)))
	to = native.AppendUint16(to, unix.RTM_GETROUTE)
	to = native.AppendUint16(to, unix.NLM_F_REQUEST)
	to = native.AppendUint32(to, sequence)
	to = native.AppendUint32(to, 0)
	to = append(to, byte(family(a)), byte(a.BitLen()), 0, 0, 0, 0, 0, 0)
	to = native.AppendUint32(to, unix.RTM_F_LOOKUP_TABLE)
	to = native.AppendUint16(to, uint16(4+len(address)))
	to = native.AppendUint16(to, unix.RTA_DST)
	return append(to, address...)
}

// replyOf reads an answer. One that is an error says that there is no route.
func replyOf(kind uint16, body []byte) (r reply, known bool) {
	switch {
	case kind == unix.NLMSG_ERROR:
		return reply{none: true}, true
	case kind != unix.RTM_NEWROUTE || len(body) < unix.SizeofRtMsg:
		return r, false
	}
	r = reply{family: int(body[0]), kind: int(body[7])}
	eachAttribute(body[unix.SizeofRtMsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.RTA_OIF:
			r.link = number(value)
		case unix.RTA_GATEWAY:
			r.gateway, _ = netip.AddrFromSlice(value)
		case unix.RTA_PREFSRC:
			r.source, _ = netip.AddrFromSlice(value)
		case unix.RTA_METRICS:
			eachAttribute(value, func(kind uint16, value []byte) {
				if kind == unix.RTAX_MTU {
					r.mtu = number(value)
				}
			})
		}
	})
	return r, true
}

// answersOf returns the route of a reply, nil if it says that there is none. Nobody writes to what it returns.
func (b *bulk) answersOf(r reply) []Answer {
	if r.none {
		return nil
	}
	if b.last == nil || b.lastReply != r {
		b.lastReply = r
		b.last = []Answer{{Route: netlink.Route{Family: r.family, Type: r.kind, LinkIndex: r.link, MTU: r.mtu, Gw: r.gateway.AsSlice(), Src: r.source.AsSlice()}}}
	}
	return b.last
}

// eachAttribute calls f with the type and value of each attribute.
func eachAttribute(all []byte, f func(kind uint16, value []byte)) {
	for len(all) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(all))
		if length < unix.SizeofRtAttr || length > len(all) {
			return
		}
		f(binary.NativeEndian.Uint16(all[2:]), all[unix.SizeofRtAttr:length])
		all = all[min((length+3)&^3, len(all)):]
	}
}

// number reads a number of 32 bits, 0 where there is none.
func number(value []byte) int {
	if len(value) < 4 {
		return 0
	}
	return int(binary.NativeEndian.Uint32(value))
}
