// Package losses counts the packets that are lost after the program's verdict: what the kernel or a driver does not take or
// does not send. They tell only tracepoints (xdp_redirect_err, xdp_devmap_xmit, xdp_bulk_tx), on which programs of bpf/src/losses.bpf.c
// run. In mode generic a redirected packet that the interface drops later, in its queue, is not among them.
package losses

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"lbctl/bpf"
	"lbctl/bpf/load"
	"lbctl/lb"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Counter counts losses of one network namespace. It is not safe for concurrent use.
type Counter struct {
	objects bpf.LossesObjects
	links   []link.Link
	causes  []string          // by their numbers
	ours    map[uint32]bool   // indexes of the interfaces whose packets count
	names   map[uint32]string // of interfaces, also of those that are gone
}

// Open counts from now on what comes in on interfaces of a network namespace, which the inode of its file names.
// Errors: those of bpf/load; the kernel has no BTF; CAP_PERFMON is missing.
func Open(network uint64) (_ *Counter, err error) {
	spec, err := bpf.LoadLosses()
	if err != nil {
		return nil, fmt.Errorf("read the object that counts losses: %w", err)
	}
	if err := spec.Variables[bpf.LossesVarNetwork].Set(uint32(network)); err != nil {
		return nil, fmt.Errorf("set the network namespace: %w", err)
	}
	causes, err := bpf.LossCauses()
	if err != nil {
		return nil, err
	}
	c := &Counter{causes: causes, ours: map[uint32]bool{}, names: map[uint32]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := load.Collection(spec, &c.objects, nil); err != nil {
		return nil, fmt.Errorf("count losses: %w", err)
	}
	for _, p := range []*ebpf.Program{c.objects.LostRedirect, c.objects.LostTransmit, c.objects.LostTx} {
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return nil, fmt.Errorf("count losses: attach to a tracepoint: %w", err)
		}
		c.links = append(c.links, l)
	}
	return c, nil
}

// Close ends the counting.
func (c *Counter) Close() error {
	var all error
	for _, l := range c.links {
		all = errors.Join(all, l.Close())
	}
	return errors.Join(all, c.objects.Close())
}

// Read returns what was lost so far of packets that came in on these interfaces or on those of earlier calls, by
// interface and cause. The calling thread is in the network namespace.
func (c *Counter) Read(attached []lb.Interface) ([]lb.Loss, error) {
	for _, i := range attached {
		c.ours[uint32(i.Index)], c.names[uint32(i.Index)] = true, i.Name
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket to ask for names of interfaces: %w", err)
	}
	defer unix.Close(socket)
	type at struct {
		to    string
		cause lb.LossCause
	}
	sums := map[at]lb.Loss{}
	var key bpf.LossesLossKey
	var row bpf.LossesLoss
	all := c.objects.Losses.Iterate()
	for all.Next(&key, &row) {
		if !c.ours[key.From] {
			continue
		}
		k := at{c.name(key.To, socket), lb.LossCause(c.causes[key.Cause])}
		sum := sums[k]
		sum.Interface, sum.Cause, sum.Packets = k.to, k.cause, sum.Packets+row.Packets
		if row.Error != 0 {
			sum.Error = syscall.Errno(-row.Error).Error()
		}
		sums[k] = sum
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("read losses: %w", err)
	}
	list := make([]lb.Loss, 0, len(sums))
	for _, l := range sums {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b lb.Loss) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Cause, b.Cause))
	})
	return list, nil
}

// name returns the name of an interface, the last one that was known. A socket knows it of one interface; a dump of the links of a host
// that has thousands takes long.
func (c *Counter) name(index uint32, socket int) string {
	request := new(unix.Ifreq)
	request.SetUint32(index)
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFNAME, request); err == nil {
		c.names[index] = request.Name()
	}
	if c.names[index] == "" {
		return fmt.Sprintf("index %d", index)
	}
	return c.names[index]
}
