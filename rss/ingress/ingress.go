// Package ingress says where a packet enters this machine: the receive queue that its interface's RSS settings give it, and the
// core that the interrupt of this queue runs on. Nothing is observed or changed: it reads the settings of the driver, /proc and /sys.
package ingress

import (
	"fmt"
	"net"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
)

// Answer is the queue and core of a packet; scripts rely on its names.
type Answer struct {
	Interface string `json:"interface"`
	Driver    string `json:"driver,omitempty"`
	// Hash and Index, the table's entry, are left out if the queue does not follow from them.
	Hash  string `json:"hash,omitempty"`
	Index *int   `json:"index,omitempty"`
	// Queue and Core are left out if they are not known; QueueUnknown and CoreUnknown say why.
	Queue        *rss.Queue `json:"queue,omitempty"`
	QueueUnknown string     `json:"queue_unknown,omitempty"`
	Core         *int       `json:"core,omitempty"`
	CoreUnknown  string     `json:"core_unknown,omitempty"`
	Interrupt    int        `json:"interrupt,omitempty"`
	InterruptOf  string     `json:"interrupt_name,omitempty"`
	Notes        []string   `json:"notes,omitempty"`
}

// Interface is what is known of an interface. It is not safe for concurrent use.
type Interface struct {
	blank Answer
	// model is nil if the queue is not known, or there is only one.
	model   *nic.NIC
	mac     string
	single  bool
	machine machine
	cores   map[rss.Queue]core
}

// New reads an interface: its settings by read, and its interrupts below root, which is "/" but in tests. It is no error that
// something cannot be read, for the daemon may see interfaces that this process does not: queue or core are unknown then.
func New(read func(name string) (ethtool.Settings, error), root, name string) *Interface {
	i := &Interface{blank: Answer{Interface: name}, machine: machine{root}, cores: map[rss.Queue]core{}}
	if l, err := net.InterfaceByName(name); err == nil {
		i.mac = l.HardwareAddr.String()
	}
	s, err := read(name)
	if err != nil {
		i.blank.QueueUnknown = err.Error()
		return i
	}
	i.blank.Driver = s.Driver
	if !s.HasRSS() {
		i.single = s.Queues == 1
		i.blank.QueueUnknown = s.Instead()
		return i
	}
	config, notes, err := s.Model()
	if err == nil {
		i.model, err = nic.New(config)
	}
	if err != nil {
		i.blank.QueueUnknown = err.Error()
		return i
	}
	i.blank.Notes = notes
	return i
}

// Of returns the queue and core of a packet. classify returns what the NIC makes of it.
func (i *Interface) Of(classify func(*nic.NIC) nic.Result) *Answer {
	a := i.blank
	switch {
	case i.model != nil:
		r := classify(i.model)
		if r.Unhashed == nic.Cut {
			a.QueueUnknown, a.CoreUnknown = "the packet was captured too short", "the queue is not known"
			return &a
		}
		a.Queue = &r.Queue
		if r.Hashed {
			a.Hash, a.Index = fmt.Sprintf("0x%08x", r.Hash), &r.Index
		}
	case i.single:
		a.Queue, a.QueueUnknown = new(rss.Queue), ""
	default:
		a.CoreUnknown = "the queue is not known"
		return &a
	}
	c := i.core(*a.Queue)
	a.Interrupt, a.InterruptOf, a.CoreUnknown = c.interrupt, c.name, c.why
	if c.number >= 0 {
		a.Core = &c.number
	}
	return &a
}

// core returns the core of a queue, which it looks up once.
func (i *Interface) core(q rss.Queue) core {
	c, known := i.cores[q]
	if !known {
		c = i.machine.core(i.blank.Interface, i.mac, int(q))
		i.cores[q] = c
	}
	return c
}
