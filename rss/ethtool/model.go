package ethtool

import (
	"fmt"
	"strings"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// Model returns the settings as a model of the NIC, and what was assumed where
// the driver does not report a setting. The error wraps ErrNoRSS where there is no table; a missing key is
// an error too.
func (s Settings) Model() (nic.Config, []string, error) {
	if !s.HasRSS() {
		return nic.Config{}, nil, fmt.Errorf("model of %s: %w: %s", s.Interface, ErrNoRSS, s.Instead())
	}
	c, err := nic.Default(max(s.Queues, 1))
	if err != nil {
		return nic.Config{}, nil, fmt.Errorf("model of %s: %w", s.Interface, err)
	}
	c.Table, c.Key, c.Transform = s.Table, s.Key, s.Transform
	var assumed []string
	if len(s.Functions) == 1 {
		c.Function = s.Functions[0]
	} else {
		assumed = append(assumed, "the driver does not report its hash function: toeplitz is assumed")
	}
	if len(s.Key) == 0 && c.Function.Keyed() {
		return nic.Config{}, nil, fmt.Errorf("model of %s: the driver does not report its rss key", s.Interface)
	}
	if len(s.Key) == 0 {
		c.Key = rss.MicrosoftKey() // not used by the function
	}
	assumed = append(assumed, s.modelFields(&c)...)
	if err := c.Validate(); err != nil {
		return nic.Config{}, nil, fmt.Errorf("model of %s: %w", s.Interface, err)
	}
	return c, assumed, nil
}

// modelFields copies the fields that the driver reports.
func (s Settings) modelFields(c *nic.Config) (assumed []string) {
	for _, n := range c.FieldSets() {
		fields, told := s.Fields[FlowType(n.Name)]
		switch {
		case !told && *n.Fields != 0:
			assumed = append(assumed, fmt.Sprintf("the driver does not report the hash fields of %s: %v is assumed", n.Name, *n.Fields))
		case told:
			*n.Fields = fields & rss.Hashable & having(n.Name)
		}
		if other := fields &^ rss.Hashable; other != 0 {
			assumed = append(assumed, fmt.Sprintf("%s is also hashed over %v: how is not specified, so it is left out", n.Name, other))
		}
	}
	return assumed
}

// having returns the fields that packets of a flow type have, because some drivers report more.
func having(name string) rss.Fields {
	switch {
	case name == string(IP4):
		return rss.Addresses
	case name == string(IP6):
		return rss.Addresses | rss.FlowLabel
	case strings.HasSuffix(name, "4"):
		return rss.FourTuple
	}
	return rss.Hashable
}

// Instead says in one sentence how an interface without RSS chooses the receive queue of a
// frame. It is empty for an interface with RSS.
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

// habit says what drivers without RSS do, from their source in drivers/net of Linux 6.18.
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
