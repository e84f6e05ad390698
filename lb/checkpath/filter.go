package checkpath

import (
	"errors"
	"fmt"
	"slices"

	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filter is a program attached as a filter of the queueing discipline clsact, which outlives the process.
type filter struct {
	link   int
	parent uint32
	name   string
	// program is the number of the one that was attached.
	program ebpf.ProgramID
}

func filterName(of string) string { return "lbctl check " + of }

func parents() map[ebpf.AttachType]uint32 {
	return map[ebpf.AttachType]uint32{ebpf.AttachTCXEgress: netlink.HANDLE_MIN_EGRESS, ebpf.AttachTCXIngress: netlink.HANDLE_MIN_INGRESS}
}

func attachFilter(program *ebpf.Program, at place, name string) (attachment, error) {
	err := netlink.QdiscAdd(clsact(at.index))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("add the queueing discipline clsact: %w", lb.Denied(err))
	}
	number, err := numberOf(program)
	if err != nil {
		return nil, err
	}
	f := filter{at.index, parents()[at.attach], filterName(name), number}
	err = netlink.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: f.link, Parent: f.parent, Priority: 1, Protocol: unix.ETH_P_ALL},
		Fd:          program.FD(), Name: f.name, DirectAction: true,
	})
	if err != nil {
		return nil, fmt.Errorf("add a filter: %w", lb.Denied(err))
	}
	return f, nil
}

func clsact(link int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
}

func (f filter) stands() bool {
	_, ours, err := f.list()
	return err == nil && slices.ContainsFunc(ours, func(one netlink.Filter) bool { return one.(*netlink.BpfFilter).Id == int(f.program) })
}

// list returns how many filters there are at the place, and those of them that have the name.
func (f filter) list() (n int, ours []netlink.Filter, err error) {
	all, err := netlink.FilterList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: f.link}}, f.parent)
	if err != nil {
		return 0, nil, fmt.Errorf("list filters: %w", lb.Denied(err))
	}
	for _, one := range all {
		if b, is := one.(*netlink.BpfFilter); is && b.Name == f.name {
			ours = append(ours, one)
		}
	}
	return len(all), ours, nil
}

// Close removes the filter, and the queueing discipline if nothing is in it.
func (f filter) Close() error {
	_, ours, err := f.list()
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, one := range ours {
		if err := netlink.FilterDel(one); err != nil {
			return fmt.Errorf("remove a filter: %w", lb.Denied(err))
		}
	}
	for _, f.parent = range parents() {
		if n, _, err := f.list(); n > 0 || err != nil {
			return err
		}
	}
	if err := netlink.QdiscDel(clsact(f.link)); !isGone(err) && err != nil {
		return fmt.Errorf("remove the queueing discipline clsact: %w", lb.Denied(err))
	}
	return nil
}

// isGone tells whether an error says that there is no such interface or discipline.
func isGone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT)
}

// Sweep removes the filters that a process of this name has left in the network namespace of the calling thread: from Linux 6.6
// on there are none.
func Sweep(name string) error {
	all, err := netlink.QdiscList(nil)
	if err != nil {
		return fmt.Errorf("list queueing disciplines: %w", lb.Denied(err))
	}
	for _, q := range all {
		if q.Type() != "clsact" {
			continue
		}
		for _, parent := range parents() {
			f := filter{q.Attrs().LinkIndex, parent, filterName(name), 0}
			if _, ours, err := f.list(); err != nil || len(ours) == 0 {
				continue // the interface has gone, or there is nothing
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}
