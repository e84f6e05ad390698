package interrupts

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/vm/guest"
)

// Order is what the host wants of the guest: one of its fields is set.
type Order struct {
	// Up sets the NICs up: Answer.NICs are their names.
	Up []guest.Link `json:"up,omitempty"`
	// Start sets a NIC up and starts a receiver. Answers to its packets leave by the NIC of Back.
	Start *Start `json:"start,omitempty"`
	// Begin reads the counters. End waits until Packets were received or nothing comes any more, ends the receiver, and
	// answers what was counted since.
	Begin bool `json:"begin,omitempty"`
	End   *End `json:"end,omitempty"`
}

// Start says how packets are received.
type Start struct {
	NIC   string `json:"nic"`
	Back  string `json:"back"`
	Setup Setup  `json:"setup"`
	// Work is how often the receiver hashes the packet: its useful work.
	Work int `json:"work"`
	// Peer is the host's address for answers, which packets ask for by their first byte.
	Peer string `json:"peer"`
}

// Setup is how a NIC tells the processor of packets.
type Setup struct {
	// Moderated is the least time between two interrupts in microseconds (ethtool -C rx-usecs), of a NIC that has it.
	Moderated *int `json:"moderated,omitempty"`
	// Defer and Timeout are napi_defer_hard_irqs and gro_flush_timeout: after a poll the NIC stays masked until Defer
	// polls in a row, Timeout apart, have found nothing.
	Defer   int           `json:"defer"`
	Timeout time.Duration `json:"timeout"`
	// Threaded polls in a thread of the kernel.
	Threaded bool `json:"threaded"`
	// Busy has the receiver poll the NIC itself, without a pause (SO_BUSY_POLL, SO_PREFER_BUSY_POLL).
	Busy bool `json:"busy"`
}

// End says when a turn is over.
type End struct {
	Packets uint64 `json:"packets"`
	// Idle is how long the guest waits before it looks, for a receiver that is to receive nothing.
	Idle time.Duration `json:"idle"`
}

// Answer is the guest's.
type Answer struct {
	NICs   []string `json:"nics,omitempty"`
	Counts Counts   `json:"counts"`
}

// Counts is what the guest's kernel and the receiver counted.
type Counts struct {
	// Interrupts are those of the NIC's reception, Timer those of the processor's timer, Softirqs those of reception.
	Interrupts uint64 `json:"interrupts"`
	Timer      uint64 `json:"timer"`
	Softirqs   uint64 `json:"softirqs"`
	// Arrived is what the NIC's driver received, Overflowed what the receiver's socket had no room for, Finished what the
	// receiver has done its work on.
	Arrived    uint64 `json:"arrived"`
	Overflowed uint64 `json:"overflowed"`
	Finished   uint64 `json:"finished"`
	// Voluntary is how often the receiver slept, Involuntary how often it was preempted.
	Voluntary   uint64 `json:"voluntary"`
	Involuntary uint64 `json:"involuntary"`
	// Unused is how long the processor had nothing to do, in ticks of 10 ms.
	Unused time.Duration `json:"unused"`
	// Ran is how long the receiver ran, User how long of that outside of the kernel, in ticks of 10 ms; Elapsed the
	// time of the guest's clock, Busy that from Begin to the last finished packet.
	Ran, User, Elapsed, Busy time.Duration
}

// since returns what was counted since an earlier reading.
func (c Counts) since(b Counts) Counts {
	c.Interrupts -= b.Interrupts
	c.Timer -= b.Timer
	c.Softirqs -= b.Softirqs
	c.Arrived -= b.Arrived
	c.Overflowed -= b.Overflowed
	c.Finished -= b.Finished
	c.Voluntary -= b.Voluntary
	c.Involuntary -= b.Involuntary
	c.Unused -= b.Unused
	c.Ran -= b.Ran
	c.User -= b.User
	c.Elapsed -= b.Elapsed
	c.Busy = max(c.Busy-b.Elapsed, 0)
	return c
}

// Helper is the guest as a helper process.
func Helper() helper.Helper[struct{}] { return guest.Role("interrupts", (&role{}).obey) }

// role is the guest's state.
type role struct {
	start    Start
	receiver *receiver
	before   Counts
}

func (r *role) obey(o Order) (a Answer, err error) {
	switch {
	case o.Up != nil:
		// The receiver's thread gets a processor of the runtime whatever the others do, and no pause for garbage.
		runtime.GOMAXPROCS(4)
		debug.SetGCPercent(-1)
		for _, link := range o.Up {
			name, err := link.Up()
			if err != nil {
				return a, err
			}
			a.NICs = append(a.NICs, name)
		}
		return a, nil
	case o.Start != nil:
		return a, r.begin(*o.Start)
	case o.Begin:
		r.before, err = r.counts()
		return a, err
	case o.End != nil:
		a.Counts, err = r.end(*o.End)
		runtime.GC() // between the turns
		return a, err
	}
	return a, errors.New("the order asks for nothing")
}

// begin sets the NIC up as it is asked for, and starts the receiver.
func (r *role) begin(s Start) (err error) {
	r.start = s
	if s.Setup.Moderated != nil {
		if err := guest.SetModeration(s.NIC, *s.Setup.Moderated); err != nil {
			return err
		}
	}
	// Answers are not to be counted: their NIC is polled in a thread, not in softirqs.
	err = errors.Join(
		guest.Set(s.Back, "threaded", "1"),
		guest.Set(s.NIC, "threaded", strconv.Itoa(experiment.One(s.Setup.Threaded))),
		guest.Set(s.NIC, "napi_defer_hard_irqs", strconv.Itoa(s.Setup.Defer)),
		guest.Set(s.NIC, "gro_flush_timeout", strconv.FormatInt(s.Setup.Timeout.Nanoseconds(), 10)),
	)
	if err != nil {
		return err
	}
	r.receiver, err = newReceiver(s)
	return err
}

// quiet is how long nothing may come before the packets that are missing count as lost.
const quiet = 100 * time.Millisecond

// end waits for the packets, and returns what was counted since the beginning.
func (r *role) end(e End) (Counts, error) {
	time.Sleep(e.Idle)
	for last, since := r.receiver.finished.Load(), time.Now(); last < r.before.Finished+e.Packets && time.Since(since) < quiet; {
		time.Sleep(quiet / 10)
		if now := r.receiver.finished.Load(); now != last {
			last, since = now, time.Now()
		}
	}
	now, err := r.counts()
	return now.since(r.before), errors.Join(err, r.receiver.stop())
}

// counts reads all counters.
func (r *role) counts() (c Counts, err error) {
	var all [7]error
	i, err := guest.ReceiveInterrupt(r.start.NIC)
	c.Interrupts = i.Count
	all[0] = err
	c.Timer, all[1] = column("/proc/interrupts", "LOC:", 1)
	c.Softirqs, all[2] = column("/proc/softirqs", "NET_RX:", 1)
	c.Arrived, all[3] = column("/sys/class/net/"+r.start.NIC+"/statistics/rx_packets", "", 0)
	c.Overflowed, all[4] = lastColumn("/proc/net/snmp", "Udp:", "RcvbufErrors")
	all[5] = r.receiver.read(&c)
	ticks, err := column("/proc/stat", "cpu", 4) // idle, as proc_stat(5) has it
	all[6] = err
	c.Unused = time.Duration(ticks) * time.Second / hertz
	c.Elapsed = measure.Monotonic()
	return c, errors.Join(all[:]...)
}

// column reads the nth word of the line that begins with a word, of the first line if it is empty.
func column(file, first string, n int) (uint64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("read counters: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > n && (first == "" || words[0] == first) {
			return strconv.ParseUint(words[n], 10, 64)
		}
	}
	return 0, fmt.Errorf("read counters: %s has no line %q of %d words", file, first, n+1)
}

// lastColumn reads a value by the name of its column, which is in the line above it that begins with the same word.
func lastColumn(file, first, name string) (uint64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("read counters: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != first {
			continue
		}
		for i, known := range names {
			if known == name && i < len(words) {
				return strconv.ParseUint(words[i], 10, 64)
			}
		}
		names = words
	}
	return 0, fmt.Errorf("read counters: %s has no %s of %s", file, name, first)
}
