package observe

import (
	"net/netip"
	"runtime"
	"testing"

	"lbctl/bpf"
	"lbctl/bpf/need"
	"lbctl/rss"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const queues = 4

// device makes an interface with several receive queues in a namespace of the
// test's own, which ends with the test's thread.
func device(t *testing.T) int {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal("unshare network namespace:", err)
	}
	a := netlink.NewLinkAttrs()
	a.Name, a.NumRxQueues, a.NumTxQueues = "seen", queues, queues
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "peer"}); err != nil {
		t.Fatal(err)
	}
	l, err := netlink.LinkByName("seen")
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Index
}

// balancer loads a real XDP program to stand beside.
func balancer(t *testing.T) (program *ebpf.Program, reasons *ebpf.Map) {
	t.Helper()
	spec, err := bpf.LoadLb()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	if err := bpf.Flatten(spec); err != nil {
		t.Fatal(err)
	}
	var o bpf.LbObjects
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o.Lb, o.ByReason
}

// before attaches the program to an interface and an observer before it.
func before(t *testing.T, program *ebpf.Program, index int, flows uint32) *Observer {
	t.Helper()
	l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	o, err := Before(program, l, flows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return o
}

// balanced returns how many packets the balancer has seen, by its reasons.
func balanced(t *testing.T, m *ebpf.Map) (packets uint64) {
	t.Helper()
	for reason := range m.MaxEntries() {
		var perCPU []bpf.LbCount
		if err := m.Lookup(reason, &perCPU); err != nil {
			t.Fatal(err)
		}
		for _, c := range perCPU {
			packets += c.Packets
		}
	}
	return packets
}

func arrive(t *testing.T, p *ebpf.Program, index int, queue rss.Queue, frame []byte) {
	t.Helper()
	context := struct{ Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32 }{
		DataEnd: uint32(len(frame)), Ingress: uint32(index), Queue: uint32(queue),
	}
	if _, err := p.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 2048), Context: context}); err != nil {
		t.Fatal("run:", err)
	}
}

func flow(source, destination string) packet.Flow {
	return packet.Flow{Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination), Protocol: packet.TCP}
}

var exact = []cmp.Option{cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.IgnoreFields(Flow{}, "CPUs")}

func TestBefore(t *testing.T) {
	index := device(t)
	program, reasons := balancer(t)
	o := before(t, program, index, 16)
	four, six := flow("192.0.2.1:1", "192.0.2.2:2"), flow("[2001:db8::1]:1", "[2001:db8::2]:2")
	for queue, f := range map[rss.Queue]packet.Flow{1: four, 3: four, 2: six} {
		arrive(t, o.program, index, queue, packet.Frame{Flow: f}.Marshal())
	}
	arrive(t, o.program, index, 3, packet.Frame{Flow: four}.Marshal())
	arrive(t, o.program, index, 0, make([]byte, 60))
	got, err := o.Flows()
	if err != nil {
		t.Fatal(err)
	}
	want := []Flow{
		{Flow: four, Packets: 3, Queues: map[rss.Queue]uint64{1: 1, 3: 2}},
		{Flow: six, Packets: 1, Queues: map[rss.Queue]uint64{2: 1}},
	}
	if diff := cmp.Diff(want, got, exact...); diff != "" {
		t.Error("flows (-want +got):", diff)
	}
	for _, f := range got {
		if len(f.CPUs) == 0 || f.CPUs[len(f.CPUs)-1] >= runtime.NumCPU() {
			t.Errorf("%v was seen on CPUs %v", f.Flow, f.CPUs)
		}
	}
	totals, err := o.Totals()
	if want := (Totals{Recorded: 4, NoFlow: 1}); err != nil || totals != want {
		t.Errorf("totals %+v, %v, want %+v", totals, err, want)
	}
	if seen := balanced(t, reasons); seen != 5 {
		t.Errorf("the program behind the observer saw %d packets, want 5", seen)
	}
	if err := o.Reset(); err != nil {
		t.Fatal(err)
	}
	if left, err := o.Flows(); err != nil || len(left) != 0 {
		t.Errorf("after a reset %v, %v", left, err)
	}
}

// Packets without a flow are counted, and nothing is recorded wrongly.
func TestNoFlow(t *testing.T) {
	index := device(t)
	program, _ := balancer(t)
	o := before(t, program, index, 1)
	f := flow("192.0.2.1:1", "192.0.2.2:2")
	frames := map[string][]byte{
		"first fragment": packet.Frame{Flow: f, Fragment: &packet.Fragment{More: true}, Payload: make([]byte, 8)}.Marshal(),
		"later fragment": packet.Frame{Flow: f, Fragment: &packet.Fragment{Offset: 8}, Payload: make([]byte, 8)}.Marshal(),
		"options":        packet.Frame{Flow: f, Options: []byte{1, 1, 1, 0}}.Marshal(),
		"vlan":           packet.Frame{Flow: f, Tags: []packet.Tag{{ID: 7}}}.Marshal(),
	}
	for name, frame := range frames {
		arrive(t, o.program, index, 0, frame)
		if flows, err := o.Flows(); err != nil || len(flows) != 0 {
			t.Errorf("%s: recorded %v, %v", name, flows, err)
		}
	}
	arrive(t, o.program, index, 0, packet.Frame{Flow: f}.Marshal())
	arrive(t, o.program, index, 0, packet.Frame{Flow: f.Reverse()}.Marshal())
	totals, err := o.Totals()
	if want := (Totals{Recorded: 1, NoFlow: uint64(len(frames)), TableFull: 1}); err != nil || totals != want {
		t.Errorf("totals %+v, %v, want %+v", totals, err, want)
	}
}

func TestAlone(t *testing.T) {
	index := device(t)
	for _, mode := range []link.XDPAttachFlags{link.XDPDriverMode, link.XDPGenericMode} {
		o, err := Alone(index, mode, 16)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Alone(index, mode, 16); err == nil {
			t.Error("two observers on one interface")
		}
		if err := o.Close(); err != nil {
			t.Error("close:", err)
		}
	}
}

// Close puts the former program back, unless another one has replaced the observer.
func TestClosePutsBack(t *testing.T) {
	index := device(t)
	program, _ := balancer(t)
	later, _ := balancer(t)
	for name, c := range map[string]struct {
		meanwhile *ebpf.Program
		want      *ebpf.Program
	}{
		"nothing came": {nil, program},
		"another came": {later, later},
	} {
		l, err := link.AttachXDP(link.XDPOptions{Program: program, Interface: index, Flags: link.XDPDriverMode})
		if err != nil {
			t.Fatal(err)
		}
		mine := again(t, l)
		o, err := Before(program, mine, 16)
		if err != nil {
			t.Fatal(err)
		}
		if c.meanwhile != nil {
			if err := l.Update(c.meanwhile); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := holder(t, l), id(t, c.want); got != want {
			t.Errorf("%s: the link holds program %d, want %d", name, got, want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// again opens a link a second time.
func again(t *testing.T, l link.Link) link.Link {
	t.Helper()
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	second, err := link.NewFromID(info.ID)
	if err != nil {
		t.Fatal(err)
	}
	return second
}

func holder(t *testing.T, l link.Link) ebpf.ProgramID {
	t.Helper()
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.Program
}

func id(t *testing.T, p *ebpf.Program) ebpf.ProgramID {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}
