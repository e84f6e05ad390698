package tophalf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lbctl/testbed/trace"
	"lbctl/testbed/vm/guest"
)

// The rings are watched by probes of the kernel (Documentation/trace/kprobetrace.rst), which read its memory by the layout
// of its structs. Of each interrupt, before and after all handlers, and of each poll, at its begin and when it is
// complete: how far the driver has read (next), and how far it has given buffers back to the NIC (tail).
const group = "lbctl"

// places are the functions that the probes are at. Their first argument is in the register di: the interrupt's
// description, or the NIC's polls (struct irq_desc, struct napi_struct). A driver without polls has the first two.
var places = []struct{ name, function string }{
	{"before", "handle_irq_event"}, {"after", "note_interrupt"}, {"poll", "__napi_poll"}, {"done", "napi_complete_done"},
}

// expressions say where next and tail of a driver's ring are, from the argument of a place.
type expressions struct{ interrupt, poll string }

// define writes the definitions of all drivers' probes.
func define() error {
	l := &layout{Layout: guest.NewLayout()}
	action := l.offset("", "irq_desc", "action")
	dev := fmt.Sprintf("+%d(+%d(%%di))", l.offset("", "irqaction", "dev_id"), action)
	number := fmt.Sprintf("irq=+%d(%%di):u32", l.offset("", "irq_desc", "irq_data", "irq"))
	var text strings.Builder
	for driver, of := range map[string]expressions{"e1000": l.e1000(dev), "virtio_net": l.virtio(dev), "ne2k_pci": l.ne2k(dev)} {
		for i, p := range places {
			values, key := of.interrupt, number
			if i >= 2 {
				values, key = of.poll, "napi=%di:x64"
			}
			if values != "" {
				fmt.Fprintf(&text, "p:%s/%s %s %s %s\n", group, event(p.name, driver), p.function, key, values)
			}
		}
	}
	if l.err != nil {
		return l.err
	}
	if err := os.WriteFile(filepath.Join(guest.Tracer, "kprobe_events"), []byte(text.String()), 0); err != nil {
		return fmt.Errorf("define probes: %w", err)
	}
	return nil
}

func event(place, driver string) string { return "ring_" + place + "_" + driver }

// layout collects errors.
type layout struct {
	guest.Layout
	err error
}

func (l *layout) offset(module, name string, fields ...string) int {
	n, err := l.Offset(module, name, fields...)
	l.err = errors.Join(l.err, err)
	return int(n)
}

// private is where the driver's part of a struct net_device begins (netdev_priv).
func (l *layout) private() int {
	size, err := l.Size("net_device")
	l.err = errors.Join(l.err, err)
	return int(size+31) &^ 31
}

// tailRegister is that of e1000's ring, RDT (drivers/net/ethernet/intel/e1000/e1000_hw.h).
const tailRegister = 0x2818

func (l *layout) e1000(dev string) expressions {
	ring, napi := l.offset("e1000", "e1000_adapter", "rx_ring"), l.offset("e1000", "e1000_adapter", "napi")
	registers := l.offset("e1000", "e1000_adapter", "hw", "hw_addr")
	next := l.offset("e1000", "e1000_rx_ring", "next_to_clean")
	of := func(from int, base string) string {
		return fmt.Sprintf("next=+%d(%+d(%s)):u32 tail=+%d(%+d(%s)):u32", next, from+ring, base, tailRegister, from+registers, base)
	}
	return expressions{of(l.private(), dev), of(-napi, "%di")}
}

// virtio's next is of the used ring, its tail of the available one.
func (l *layout) virtio(dev string) expressions {
	next, tail := l.offset("virtio_ring", "vring_virtqueue", "last_used_idx"), l.offset("virtio_ring", "vring_virtqueue", "split", "avail_idx_shadow")
	of := func(queue string) string {
		return fmt.Sprintf("next=+%d(%s):u16 tail=+%d(%s):u16", next, queue, tail, queue)
	}
	queue := l.offset("virtio_net", "receive_queue", "vq") - l.offset("virtio_net", "receive_queue", "napi")
	return expressions{of(dev), of(fmt.Sprintf("%+d(%%di)", queue))}
}

// ne2k's next is the page of the NIC's memory that the next packet begins on. The driver has no polls, and its tail is
// in a register that is no memory.
func (l *layout) ne2k(dev string) expressions {
	next := l.private() + l.offset("8390", "ei_device", "current_page")
	return expressions{interrupt: fmt.Sprintf("next=+%d(%s):u8", next, dev)}
}

// watch switches the probes of a driver on, of one interrupt, and returns their names.
func watch(t *trace.Instance, driver string, interrupt int) (names []string, err error) {
	for i, p := range places {
		name, filter := event(p.name, driver), fmt.Sprintf("irq == %d", interrupt)
		if i >= 2 {
			filter = ""
		}
		if _, err := os.Stat(filepath.Join(guest.Tracer, "events", group, name)); err != nil {
			continue // the driver has no polls
		}
		if err := t.Event(group+":"+name, filter); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}
