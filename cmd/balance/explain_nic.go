package balance

import (
	"fmt"
	"io"
	"net"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/nic"
)

// ingressAnswer is where a NIC puts a packet before it is balanced; scripts rely on its names.
type ingressAnswer struct {
	Interface string `json:"interface"`
	Driver    string `json:"driver,omitempty"`
	// Hash and Index are left out where the queue does not follow from them.
	Hash  string `json:"hash,omitempty"`
	Index *int   `json:"index,omitempty"`
	// Queue and Core are left out where they are not known, which the other two explain.
	Queue        *rss.Queue `json:"queue,omitempty"`
	QueueUnknown string     `json:"queue_unknown,omitempty"`
	Core         *int       `json:"core,omitempty"`
	CoreUnknown  string     `json:"core_unknown,omitempty"`
	Interrupt    int        `json:"interrupt,omitempty"`
	InterruptOf  string     `json:"interrupt_name,omitempty"`
	Notes        []string   `json:"notes,omitempty"`
}

// ingress is what is known of an interface.
type ingress struct {
	blank ingressAnswer
	// model is nil where the queue is not known, or always the one.
	model   *nic.NIC
	mac     string
	single  bool
	machine machine
	cores   map[rss.Queue]core
}

// newIngress reads an interface. What cannot be read is unknown, and no error: the daemon may see
// interfaces that this process does not.
func newIngress(nics cli.Interfaces, m machine, name string) *ingress {
	i := &ingress{blank: ingressAnswer{Interface: name}, machine: m, cores: map[rss.Queue]core{}}
	if l, err := net.InterfaceByName(name); err == nil {
		i.mac = l.HardwareAddr.String()
	}
	s, err := nics.Read(name)
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

// answer says where a packet goes, by what it is to the NIC.
func (i *ingress) answer(classify func(*nic.NIC) nic.Result) *ingressAnswer {
	a := i.blank
	switch {
	case i.model != nil:
		r := classify(i.model)
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

// core looks every queue up once.
func (i *ingress) core(q rss.Queue) core {
	c, known := i.cores[q]
	if !known {
		c = i.machine.core(i.blank.Interface, i.mac, int(q))
		i.cores[q] = c
	}
	return c
}

func (a *ingressAnswer) print(w io.Writer) {
	if a.Queue == nil {
		cli.Row(w, "queue", "unknown: "+a.QueueUnknown)
	} else if a.Index != nil {
		cli.Row(w, "queue", fmt.Sprintf("%d of %s (rss hash %s, entry %d)", *a.Queue, a.Interface, a.Hash, *a.Index))
	} else {
		cli.Row(w, "queue", fmt.Sprintf("%d of %s (not hashed)", *a.Queue, a.Interface))
	}
	if a.Core == nil {
		cli.Row(w, "core", "unknown: "+a.CoreUnknown)
	} else {
		cli.Row(w, "core", fmt.Sprintf("%d (interrupt %d, %s)", *a.Core, a.Interrupt, a.InterruptOf))
	}
	for _, n := range a.Notes {
		cli.Row(w, "note", n)
	}
}
