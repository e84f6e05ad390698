package access

import (
	"errors"
	"net"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is the process at the other end of a unix socket, as it was when it connected.
type Peer struct {
	UID, GID uint32
	PID      int32
	// Groups are its supplementary groups.
	Groups []uint32
}

// PeerOf returns the process at the other end of a unix socket. Errors: those of getsockopt(2).
func PeerOf(c net.Conn) (p Peer, err error) {
	s, is := c.(syscall.Conn)
	if !is {
		return p, errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return p, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); failed == nil {
			p = Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}
			p.Groups, failed = peerGroups(fd)
		}
	})
	return p, errors.Join(err, failed)
}

// peerGroups asks for the supplementary groups (SO_PEERGROUPS, Linux 4.13). /proc/PID/status would tell those of whoever has that
// number by now.
func peerGroups(fd uintptr) ([]uint32, error) {
	const size = 4
	for groups := make([]uint32, 32); ; {
		length := uint32(len(groups) * size)
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&length)), 0)
		switch {
		case e == 0:
			return groups[:length/size], nil
		case e == unix.ERANGE && int(length) > len(groups)*size:
			groups = make([]uint32, length/size) // so many there are
		default:
			return nil, e
		}
	}
}

// in tells whether the process is a member of a group.
func (p Peer) in(group uint32) bool { return p.GID == group || slices.Contains(p.Groups, group) }

// name is the name of the user, or "uid 4711" if this host knows none.
func (p Peer) name() string {
	id := strconv.FormatUint(uint64(p.UID), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid " + id
}
