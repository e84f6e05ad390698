package kv

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Threads returns the number of the thread that serves each connection of a memcached, by its client, from what the kernel
// says of the process: a thread that waits for events names its epoll descriptor (proc_pid_syscall(5)), that one lists
// the sockets that it watches (tfd in proc_pid_fdinfo(5)), and /proc/PID/net/tcp says whose they are. Threads are numbered
// from 0 by their identifiers. It is an error, also if it passes, when a connection has no thread that waits: it is being served.
func Threads(pid int) (map[netip.AddrPort]int, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	clients, err := sockets(filepath.Join(proc, "net/tcp"))
	if err != nil {
		return nil, err
	}
	waiting, err := waitingThreads(proc)
	if err != nil {
		return nil, err
	}
	threads := map[netip.AddrPort]int{}
	for number, epoll := range waiting {
		watched, err := os.ReadFile(filepath.Join(proc, "fdinfo", strconv.Itoa(epoll)))
		if err != nil {
			return nil, fmt.Errorf("read epoll descriptor: %w", err)
		}
		for _, fd := range targets(watched) {
			link, err := os.Readlink(filepath.Join(proc, "fd", strconv.Itoa(fd)))
			if err != nil {
				return nil, fmt.Errorf("read descriptor: %w", err)
			}
			if client, ok := clients[link]; ok {
				threads[client] = number
			}
		}
	}
	for link, client := range clients {
		if _, ok := threads[client]; !ok {
			return nil, fmt.Errorf("connection of %v, %s: no waiting thread watches it", client, link)
		}
	}
	return threads, nil
}

// waitingThreads returns the epoll descriptors that the threads wait for, in the order of the threads' identifiers and without
// the first thread, which only accepts.
func waitingThreads(proc string) (epolls []int, err error) {
	tasks, err := os.ReadDir(filepath.Join(proc, "task"))
	if err != nil {
		return nil, fmt.Errorf("list threads: %w", err)
	}
	var ids []int
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return nil, fmt.Errorf("list threads: %w", err)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids[1:] {
		text, err := os.ReadFile(filepath.Join(proc, "task", strconv.Itoa(id), "syscall"))
		if err != nil {
			return nil, fmt.Errorf("read system call of thread %d: %w", id, err)
		}
		words := strings.Fields(string(text))
		if len(words) < 2 {
			continue // "running"
		}
		fd, err := strconv.ParseUint(words[1], 0, 64)
		if err != nil {
			continue // not in a system call
		}
		link, err := os.Readlink(filepath.Join(proc, "fd", strconv.FormatUint(fd, 10)))
		if err == nil && link == "anon_inode:[eventpoll]" { // other calls have other first arguments
			epolls = append(epolls, int(fd))
		}
	}
	return epolls, nil
}

// targets returns the descriptors that an epoll descriptor watches.
func targets(fdinfo []byte) (fds []int) {
	for line := range strings.Lines(string(fdinfo)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "tfd:" {
			continue
		}
		if fd, err := strconv.Atoi(words[1]); err == nil {
			fds = append(fds, fd)
		}
	}
	return fds
}

// established is TCP_ESTABLISHED of include/net/tcp_states.h, as proc_pid_net(5) writes it.
const established = "01"

// sockets returns the far ends of the established connections of a namespace, by what /proc calls their sockets.
func sockets(path string) (map[string]netip.AddrPort, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("list sockets: %w", err)
	}
	const remote, state, inode = 2, 3, 9
	found := map[string]netip.AddrPort{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) <= inode || words[state] != established {
			continue
		}
		client, err := endpoint(words[remote])
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		found["socket:["+words[inode]+"]"] = client
	}
	return found, nil
}

// endpoint reads "0100420A:1F90": the address as a number in the machine's byte order, the port in hexadecimal.
func endpoint(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(address)
	if err == nil && len(b) != 4 {
		err = errors.New("not an IPv4 address")
	}
	p, errPort := strconv.ParseUint(port, 16, 16)
	if err := errors.Join(err, errPort); err != nil {
		return netip.AddrPort{}, fmt.Errorf("endpoint %q: %w", text, err)
	}
	var wire [4]byte
	binary.NativeEndian.PutUint32(wire[:], binary.BigEndian.Uint32(b))
	return netip.AddrPortFrom(netip.AddrFrom4(wire), uint16(p)), nil
}
