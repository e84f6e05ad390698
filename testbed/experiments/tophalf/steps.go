package tophalf

import (
	"regexp"
	"slices"
)

// Step is a part of the work of a reception, and the functions that are its begin.
type Step struct {
	Name      string
	functions *regexp.Regexp
}

func step(name, functions string) Step {
	return Step{name, regexp.MustCompile("^(" + functions + ")$")}
}

// The steps that checks ask for.
var (
	handlerStep = step("the driver's interrupt handler", "e1000_intr|vring_interrupt|ei_interrupt")
	pollStep    = step("the driver's poll", "e1000_clean|virtnet_poll")
	ringStep    = step("take packets from the RX ring", "e1000_clean_rx_irq|virtqueue_get_buf_ctx|ne2k_pci_get_8390_hdr")
	ackStep     = step("send the TCP acknowledgement", "__tcp_send_ack|tcp_send_ack")
	userStep    = step("copy to user memory", "skb_copy_datagram_iter")
	wakeStep    = step("wake the process", "sock_def_readable")
	// copyStep is any function whose name says that it copies data, or moves it between memory and a NIC without DMA.
	copyStep = step("copy data", `.*(copy_|_copy|memcpy|memmove|block_input|block_output).*`)
)

// steps are all steps in the order of a reception.
func steps() []Step {
	return []Step{
		handlerStep,
		step("schedule the poll", "__napi_schedule"),
		pollStep,
		ringStep,
		step("copy from the NIC's memory", "ne2k_pci_block_input"),
		step("give buffers back to the ring", "e1000_alloc_rx_buffers|virtqueue_add_inbuf_ctx"),
		step("IP", "ip_rcv_core"),
		step("TCP", "tcp_v4_rcv"),
		ackStep,
		wakeStep,
		userStep,
	}
}

// count returns how many calls of a step there are in each place.
func (s Step) count(calls []Call) (n [elsewhere]int) {
	for _, c := range calls {
		if s.functions.MatchString(c.Name) && !s.functions.MatchString(c.Caller) {
			n[c.Place]++
		}
	}
	return n
}

// places returns where a step was done, in the order of the places.
func (s Step) places(calls []Call) (all []Place) {
	for p, n := range s.count(calls) {
		if n > 0 {
			all = append(all, Place(p))
		}
	}
	return all
}

// in returns the names of the functions of a step that were called in a place, each once.
func (s Step) in(p Place, calls []Call) (names []string) {
	for _, c := range calls {
		if c.Place == p && s.functions.MatchString(c.Name) && !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}
