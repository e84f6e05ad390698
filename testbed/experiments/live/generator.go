package live

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// chunk is how many frames one system call sends: 5 to 15 ms. Many short rounds have a narrower interval than few
// long ones.
const chunk = 1 << 16

// generator sends frames out of a veth's end, into the other end, from the kernel.
type generator struct {
	program *ebpf.Program
	frames  *ebpf.Map
	sent    counter
}

// newGenerator makes a generator that sends the frames in turn; their number is a power of two.
func newGenerator(frames [][]byte) (g *generator, err error) {
	g = &generator{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make generator: %w", err), g.Close())
		}
	}()
	if g.sent, err = newCounter(); err != nil {
		return nil, err
	}
	g.frames, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "frames", Type: ebpf.Array, KeySize: 4, ValueSize: rowSize, MaxEntries: uint32(len(frames)),
	})
	if err != nil {
		return nil, err
	}
	for i, f := range frames {
		if err := g.frames.Put(uint32(i), row(f)); err != nil {
			return nil, err
		}
	}
	g.program, err = xdp.Load("generate", generate(g.frames, g.sent))
	return g, err
}

// Close removes it.
func (g *generator) Close() error {
	var all []error
	for _, c := range []interface{ Close() error }{g.program, g.frames, g.sent.Map} {
		all = append(all, c.Close()) // none is an error for nil
	}
	return errors.Join(all...)
}

// send sends frames out of a link, and returns how many, and the CPU time that they took all together. After a
// signal to the thread the kernel repeats a part; the program counts what was really sent.
func (g *generator) send(from netns.Link) (frames uint64, took time.Duration, err error) {
	before, err := g.sent.read()
	if err != nil {
		return 0, 0, err
	}
	err = from.Namespace().Do(func() (err error) {
		return measure.OnOneCore(func() error {
			took, err = testRun(g.program, frameSize, from.Index)
			return err
		})
	})
	if err != nil {
		return 0, 0, err
	}
	after, err := g.sent.read()
	return after - before, took, err
}

// testRun sends a chunk of live frames and returns the CPU time that the thread took meanwhile, with the softirqs that
// process the frames on top of it. Other tasks do not count; a run that a signal cut short does. The caller stays on its
// thread. The kernel itself would report the mean of one frame in whole nanoseconds.
func testRun(program *ebpf.Program, size, ingress int) (took time.Duration, err error) {
	start, err := measure.ThreadTime()
	if err != nil {
		return 0, err
	}
	if err := xdp.RunLive(program, make([]byte, size), ingress, chunk); err != nil {
		return 0, err
	}
	end, err := measure.ThreadTime()
	return end - start, err
}
