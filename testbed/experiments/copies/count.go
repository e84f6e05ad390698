package copies

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
	"lbctl/testbed/trace"
	"lbctl/testbed/vm/guest"
)

// Order tells the guest to pass frames over a path and to count who copied them.
type Order struct {
	Path            Path
	Payload, Frames int
}

// Counted is what happened.
type Counted struct {
	Passed passed
	// Copies are the calls of the functions that move a frame's bytes, by function, Bytes what they were told to move.
	Copies map[string]int
	Bytes  map[string]int
	// Called are the calls of all functions of the kernel that can be traced and have "copy" or "memcpy" in
	// their name, by function.
	Called map[string]int
}

// probe is a function that copies the bytes of a frame, and what of its arguments says how many (net/core/datagram.c,
// net/core/skbuff.c, net/xdp/xsk.c): their number, or where they begin and end (struct xdp_buff).
type probe struct{ function, fetch, to string }

func probes() []probe {
	return []probe{
		{"skb_copy_datagram_iter", "bytes=$arg4:s32", "the kernel's buffer to the process's"},
		{"skb_copy_bits", "bytes=$arg4:s32", "the kernel's buffer to the mapped ring"},
		{"__xsk_rcv", "begin=+0($arg2):u64 end=+8($arg2):u64", "the driver's buffer to the AF_XDP socket's memory"},
	}
}

// Guest is the experiment's part in the guest.
func Guest() helper.Helper[struct{}] { return guest.Role("copies", (&counter{}).obey) }

// counter counts copies in the guest. It is made ready by the first order.
type counter struct {
	namespace *netns.Namespace
	tracer    *trace.Instance
	lines     map[Path]*line
}

func (c *counter) obey(o Order) (counted Counted, err error) {
	if c.lines == nil {
		if err := c.prepare(); err != nil {
			return counted, err
		}
	}
	l := c.lines[o.Path]
	if l == nil {
		if l, err = newLine(c.namespace, "line"+strconv.Itoa(len(c.lines)), o.Path); err != nil {
			return counted, err
		}
		c.lines[o.Path] = l
	}
	records, err := c.tracer.Record(func() error {
		return c.namespace.Do(func() (err error) {
			counted.Passed, err = l.pass(o.Payload, o.Frames, true)
			return err
		})
	})
	if err != nil {
		return counted, err
	}
	return counted, counted.add(records)
}

// prepare makes the namespace and the tracer.
func (c *counter) prepare() (err error) {
	c.lines = map[Path]*line{}
	run, err := netns.NewRun()
	if err != nil {
		return err
	}
	if c.namespace, err = run.Make("copies"); err != nil {
		return err
	}
	if c.tracer, err = trace.New(run.ID(), "copies"); err != nil {
		return err
	}
	if err := c.tracer.Set("buffer_size_kb", "4096"); err != nil {
		return err
	}
	var define strings.Builder
	for _, p := range probes() {
		fmt.Fprintf(&define, "p:copies/%s %s %s\n", p.function, p.function, p.fetch)
	}
	// The guest ends with the experiment, and its probes with it.
	if err := os.WriteFile(filepath.Join(guest.Tracer, "kprobe_events"), []byte(define.String()), 0); err != nil {
		return fmt.Errorf("probe functions: %w", err)
	}
	for _, p := range probes() {
		if err := c.tracer.Event("copies:"+p.function, ""); err != nil {
			return err
		}
	}
	return c.tracer.Functions("*copy*", "*memcpy*")
}

// add counts records: of functions those with a caller, of probes those with a number of bytes.
func (c *Counted) add(records []trace.Record) error {
	c.Copies, c.Bytes, c.Called = map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range records {
		if r.Caller != "" {
			c.Called[r.Name]++
			continue
		}
		bytes, err := moved(r.Text)
		if err != nil {
			return fmt.Errorf("read bytes of %s from %q: %w", r.Name, r.Text, err)
		}
		c.Copies[r.Name]++
		c.Bytes[r.Name] += bytes
	}
	return nil
}

// moved returns the number of bytes that a probe has fetched: "(skb_copy_bits+0x0/0x2b0) bytes=78".
func moved(text string) (int, error) {
	fetched := map[string]int{}
	for word := range strings.FieldsSeq(text) {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 64) // begin and end are addresses
		if err != nil {
			return 0, err
		}
		fetched[name] = int(n)
	}
	if bytes, ok := fetched["bytes"]; ok {
		return bytes, nil
	}
	if _, ok := fetched["end"]; !ok {
		return 0, errors.New("want bytes, or their begin and end")
	}
	return fetched["end"] - fetched["begin"], nil
}
