package xdp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// Holder is what has the room of an interface for an XDP program.
type Holder struct {
	// Interface is the one that it is attached to.
	Interface string
	// Program is the program's name, empty where the caller may not see it; ID is its number.
	Program string
	ID      uint32
	// Link is the number of the bpf_link that holds it; 0: none, or not visible.
	Link uint32
	// Pin is where the link is pinned; empty where it is not, or not below Root.
	Pin string
	// Process has the link open, as "name (pid)"; empty where none is found.
	Process string
	mode    uint32
}

// HolderOf returns what holds an interface, and false if nothing does. Links and programs are looked up by number,
// for which CAP_SYS_ADMIN is needed.
func HolderOf(a *netlink.LinkAttrs) (Holder, bool) {
	if a.Xdp == nil || !a.Xdp.Attached {
		return Holder{}, false
	}
	id := a.Xdp.ProgId
	return Holder{Interface: a.Name, Program: ProgramName(id), ID: id, Link: linkOf(id, a.Index), mode: a.Xdp.AttachMode}, true
}

// linkOf returns the number of the link that holds a program at an interface, 0 if none is found.
func linkOf(program uint32, index int) uint32 {
	var it link.Iterator
	defer it.Close()
	for it.Next() {
		info, err := it.Link.Info()
		if err != nil || info.Program != ebpf.ProgramID(program) {
			continue
		}
		if x := info.XDP(); x != nil && x.Ifindex == uint32(index) {
			return uint32(info.ID)
		}
	}
	return 0
}

// find adds what keeps the link: a pin, or a process.
func (h Holder) find() Holder {
	if h.Link != 0 {
		if h.Pin = pinOf(h.Link); h.Pin == "" {
			h.Process = processOf(h.Link)
		}
	}
	return h
}

// balancer is the name of the balancer's program (bpf/src/lb.bpf.c).
const balancer = "lb"

// lookedAt bounds a search for what keeps a link.
const lookedAt = 1 << 14

// pinOf returns the pin of a link below Root.
func pinOf(id uint32) (found string) {
	left := lookedAt
	_ = filepath.WalkDir(Root, func(path string, d fs.DirEntry, err error) error {
		if left--; left == 0 {
			return fs.SkipAll
		}
		if err != nil || d.IsDir() {
			return nil // what may not be read is not found
		}
		l, err := link.LoadPinnedLink(path, nil)
		if err != nil {
			return nil
		}
		defer l.Close()
		if info, err := l.Info(); err == nil && uint32(info.ID) == id {
			found = path
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// processOf returns a process that has a link open, "" if none is found.
func processOf(id uint32) string {
	files, _ := filepath.Glob("/proc/[0-9]*/fdinfo/*") // its only error is a bad pattern
	want := fmt.Sprintf("\nlink_id:\t%d\n", id)
	for n, file := range files {
		if n == lookedAt {
			break
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), want) {
			continue
		}
		process := strings.Split(file, "/")[2]
		name, _ := os.ReadFile("/proc/" + process + "/comm") // it may have ended
		return fmt.Sprintf("%s (%s)", strings.TrimSpace(string(name)), process)
	}
	return ""
}

// String names the program, and what keeps it there.
func (h Holder) String() string {
	text := fmt.Sprintf("the XDP program with id %d", h.ID)
	if h.Program != "" {
		text = fmt.Sprintf("the XDP program %q (id %d)", h.Program, h.ID)
	}
	switch {
	case h.Pin != "":
		text += fmt.Sprintf(", by link %d, pinned at %s", h.Link, h.Pin)
	case h.Process != "":
		text += fmt.Sprintf(", by link %d of the process %s", h.Link, h.Process)
	case h.Link != 0:
		text += fmt.Sprintf(", by link %d", h.Link)
	}
	return text
}

// Release is the command that takes the program off.
func (h Holder) Release() string {
	switch {
	case h.Pin != "" && h.Program == balancer && strings.HasPrefix(filepath.Base(h.Pin), linkPrefix):
		return "lbctl purge --pin-dir " + filepath.Dir(h.Pin)
	case h.Pin != "":
		return "rm " + h.Pin
	case h.Link != 0:
		return fmt.Sprintf("bpftool link detach id %d", h.Link)
	}
	// Without the mode, ip takes off the native program.
	flag := map[uint32]string{attachedNative: "xdpdrv", attachedGeneric: "xdpgeneric", attachedOffloaded: "xdpoffload"}[h.mode]
	if flag == "" {
		return fmt.Sprintf("ip link set dev %s xdpgeneric off && ip link set dev %s xdpdrv off", h.Interface, h.Interface)
	}
	return fmt.Sprintf("ip link set dev %s %s off", h.Interface, flag)
}

// heldError is lb.ErrConflict that names the holder.
type heldError struct {
	name   string
	holder Holder
}

func (e *heldError) Error() string {
	if e.holder.Interface != e.name {
		return fmt.Sprintf("%v: %s cannot have an XDP program while %s, which is above it, has %v", lb.ErrConflict, e.name, e.holder.Interface, e.holder)
	}
	return fmt.Sprintf("%v: %s already has %v", lb.ErrConflict, e.name, e.holder)
}

// Hint says how to take the other program off.
func (e *heldError) Hint() string { return "if it is not needed: " + e.holder.Release() }

func (e *heldError) Unwrap() error { return lb.ErrConflict }

// requireFree returns lb.ErrConflict, naming the program, if an interface has one.
func requireFree(device netlink.Link) error {
	if h, held := HolderOf(device.Attrs()); held {
		return &heldError{device.Attrs().Name, h.find()}
	}
	return nil
}

// heldAbove names the interface directly above another one, a bridge or a VLAN, whose program is why the kernel refuses
// one below (dev_xdp_attach of net/core/dev.c).
func heldAbove(device netlink.Link, refusal error) error {
	links, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return refusal
	}
	below := device.Attrs()
	for _, l := range links {
		a := l.Attrs()
		if a.Index != below.MasterIndex && (a.ParentIndex != below.Index || l.Type() == "veth") { // a veth's is its peer
			continue
		}
		if h, held := HolderOf(a); held {
			return &heldError{below.Name, h.find()}
		}
	}
	return refusal
}
