package tophalf

import (
	"regexp"
	"strconv"
	"strings"

	"lbctl/testbed/experiment"
	"lbctl/testbed/trace"
)

// Place is the context that a function runs in.
type Place int

// The places: the hard interrupt of the NIC, the softirq of reception, a kernel's thread that polls the NIC, and the process
// that receives. What else the kernel did meanwhile is elsewhere: the timer's interrupts, other processes.
const (
	TopHalf Place = iota
	Softirq
	Thread
	Process
	elsewhere
)

func (p Place) String() string {
	return [...]string{"top half", "softirq", "kernel thread", "process", "elsewhere"}[p]
}

// Call is a function that the kernel entered on the way of the segment.
type Call struct {
	Place        Place
	Name, Caller string
}

// Reading is where a ring stood. Place is that of the probe: before, after, poll or done.
type Reading struct {
	Place string
	// Napi identifies the polls, "" in an interrupt.
	Napi       string
	Next, Tail uint64
}

// Reception is what one segment's recording says, in order.
type Reception struct {
	Calls    []Call
	Readings []Reading
	// Interrupts is the number of interrupts of the NIC. Early is how many of them came while its poll was scheduled and not
	// complete.
	Interrupts, Early int
	Lost              int
}

// receptionSoftirq is the number of NET_RX_SOFTIRQ.
const receptionSoftirq = "3"

var (
	handled = regexp.MustCompile(`^irq=(\d+) name=(.+)$`)
	vector  = regexp.MustCompile(`^vec=(\d+) `)
	value   = regexp.MustCompile(`\b(napi|next|tail)=(\S+)`)
	// clone is what the compiler adds to the name of a function that it specialised.
	clone = regexp.MustCompile(`\.(isra|part|constprop|cold|llvm)\b.*$`)
	// own are the functions of the probes themselves.
	own = regexp.MustCompile(`^(kprobe_ftrace_handler|get_kprobe|aggr_pre_handler|copy_from_kernel_nofault.*)$`)
)

// classify finds the place of every function. The tracer itself says whether the processor was in a hard interrupt or
// in a softirq. A hard interrupt is the NIC's if the NIC's handler ran in it; a softirq is that of reception from its
// begin to its end. What comes before the NIC's first interrupt is left out.
func classify(r Recording) Reception {
	c := classifier{Recording: r, Reception: Reception{Lost: r.Lost}}
	for i := 0; i < len(r.Records); {
		end := i
		for end < len(r.Records) && hard(r.Records[end]) {
			end++
		}
		if end > i {
			c.interrupt(r.Records[i:end])
			i = end
			continue
		}
		c.other(r.Records[i])
		i++
	}
	return c.Reception
}

type classifier struct {
	Recording
	Reception
	// reception is set within the softirq of reception, scheduled from the scheduling of the poll to its completion.
	reception, scheduled bool
}

// mode is the letter of a record's context that says what interrupts.
func mode(r trace.Record) byte {
	if len(r.Context) < 3 {
		return '.'
	}
	return r.Context[2]
}

func hard(r trace.Record) bool { return mode(r) == 'h' || mode(r) == 'H' }

// interrupt takes what one hard interrupt did.
func (c *classifier) interrupt(all []trace.Record) {
	nics := false
	for _, r := range all {
		handler := handled.FindStringSubmatch(r.Text)
		nics = nics || r.Name == "irq_handler_entry" && handler != nil && handler[2] == c.Interrupt
	}
	if !nics {
		return
	}
	c.Interrupts++
	if c.scheduled {
		c.Early++
	}
	for _, r := range all {
		c.take(r, TopHalf)
		c.scheduled = c.scheduled || r.Name == "__napi_schedule"
	}
}

// other takes a record that is not of a hard interrupt.
func (c *classifier) other(r trace.Record) {
	if v := vector.FindStringSubmatch(r.Text); v != nil && strings.HasPrefix(r.Name, "softirq_") {
		c.reception = r.Name == "softirq_entry" && v[1] == receptionSoftirq
		return
	}
	if c.Interrupts == 0 {
		return
	}
	switch soft := mode(r) == 's'; {
	case soft && c.reception:
		c.take(r, Softirq)
	case !soft && strings.HasPrefix(r.Task, "napi/"):
		c.take(r, Thread)
	case !soft && r.Thread == c.Receiver:
		c.take(r, Process)
	}
	c.scheduled = c.scheduled && r.Name != "napi_complete_done"
}

// take enters a call, or a reading of the ring.
func (c *classifier) take(r trace.Record, p Place) {
	if own.MatchString(r.Name) {
		return
	}
	if r.Caller != "" {
		c.Calls = append(c.Calls, Call{
			Place: p, Name: clone.ReplaceAllString(r.Name, ""), Caller: clone.ReplaceAllString(r.Caller, ""),
		})
		return
	}
	at, ok := strings.CutPrefix(r.Name, "ring_")
	if !ok {
		return
	}
	reading := Reading{}
	reading.Place, _, _ = strings.Cut(at, "_")
	for _, v := range value.FindAllStringSubmatch(r.Text, -1) {
		switch n, err := strconv.ParseUint(v[2], 10, 64); {
		case v[1] == "napi":
			reading.Napi = v[2]
		case err != nil:
			return // the probe could not read it
		case v[1] == "next":
			reading.Next = n
		default:
			reading.Tail = n
		}
	}
	c.Readings = append(c.Readings, reading)
}

// Moves counts the interrupts and the polls of a reception after which its ring stood where it had not before.
type Moves struct{ Interrupts, MovedInInterrupt, Polls, MovedInPoll, Packets int }

// moves compares the readings before and after each interrupt, and before and after each poll of the receiving queue: that
// whose poll is the first of the recording.
func (r Reception) moves() (m Moves) {
	var before, poll *Reading
	napi := ""
	for i := range r.Readings {
		at := &r.Readings[i]
		switch at.Place {
		case "before":
			before = at
		case "after":
			if before != nil {
				m.Interrupts++
				m.MovedInInterrupt += experiment.One(at.Next != before.Next || at.Tail != before.Tail)
			}
			before = nil
		case "poll":
			if napi == "" {
				napi = at.Napi
			}
			if at.Napi == napi {
				poll = at
			}
		case "done":
			if poll != nil && at.Napi == napi {
				m.Polls++
				m.MovedInPoll += experiment.One(at.Next != poll.Next || at.Tail != poll.Tail)
				poll = nil
			}
		}
	}
	return m
}
