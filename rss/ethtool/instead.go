package ethtool

import "fmt"

// Instead says in one sentence how an interface without RSS chooses the receive queue of a
// frame. For one with RSS it is empty.
func (s Settings) Instead() string {
	if s.HasRSS() {
		return ""
	}
	if s.Queues == 1 && s.Driver != "tun" {
		return fmt.Sprintf("%s has one receive queue and no RSS: everything goes there", s.what())
	}
	return s.what() + " " + s.habit()
}

// what names the interface by its driver.
func (s Settings) what() string {
	switch {
	case s.Driver == "":
		return s.Interface + " (a driver without a name)"
	case s.Driver == "tun" && s.Bus != "":
		return s.Interface + " (" + s.Bus + ")"
	}
	return s.Interface + " (" + s.Driver + ")"
}

// habit is what drivers without RSS do, from their source in drivers/net of Linux 6.18.
func (s Settings) habit() string {
	switch s.Driver {
	case "veth":
		// veth_xmit: rxq = skb_get_queue_mapping(skb)
		return "has no RSS: a frame comes in on the queue of the number that its sender's stack picked for sending, " +
			"by the sending core (XPS) or by the kernel's own hash of the flow (siphash, a secret key), modulo the queues"
	case "tun":
		// tun_get_user: skb_record_rx_queue(skb, tfile->queue_index); tun_automq_select_queue
		return "has no RSS: a frame comes in on the queue whose file descriptor it was written to; what the host sends goes to " +
			"the queue that the flow last came in on (the driver's own flow table), else by the kernel's hash of the flow"
	case "virtio_net":
		return "has no RSS: the device does not offer it, and chooses the queue by itself, " +
			"mostly the one that the flow was last sent from"
	case "bonding", "bridge", "802.1Q VLAN Support", "macvlan", "team":
		return "has no RSS of its own: the queue is that of the interface below it"
	}
	return "has no RSS: the driver offers no indirection table, and does not say how it chooses the queue"
}
