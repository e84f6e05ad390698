package datapath

import (
	"fmt"
	"net"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/nexthop"
	"lbctl/lb/oracle"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// xdpMD is struct xdp_md of linux/bpf.h, the context of a test run.
type xdpMD struct {
	Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32
}

// send runs the program in the kernel on one frame that came in on an interface.
func send(p *ebpf.Program, ingress int, frame []byte) (oracle.Verdict, error) {
	out := make([]byte, len(frame)+256)
	context := xdpMD{DataEnd: uint32(len(frame)), Ingress: uint32(ingress)}
	run := ebpf.RunOptions{Data: frame, DataOut: out, Context: context}
	verdict, err := p.Run(&run)
	if err != nil {
		return oracle.Verdict{}, fmt.Errorf("run: %w", err)
	}
	action, ok := actions()[verdict]
	if !ok {
		return oracle.Verdict{}, fmt.Errorf("verdict %d", verdict)
	}
	return oracle.Verdict{Action: action, Frame: run.DataOut}, nil
}

// placed makes the network that the contract's topology describes, in this thread's
// namespace, and an interface that is held by another XDP program.
func placed(t testing.TB) (indexes map[string]int) {
	t.Helper()
	inNamespace(t)
	indexes = map[string]int{}
	links := map[string]netlink.Link{}
	for _, l := range contract.Links() {
		var addresses []string
		for _, a := range l.Addresses {
			addresses = append(addresses, a.String())
		}
		device := testns.Veth(t, l.Name, addresses...)
		if err := netlink.LinkSetHardwareAddr(device, net.HardwareAddr(l.MAC[:])); err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMTU(device, l.MTU); err != nil {
			t.Fatal(err)
		}
		indexes[l.Name], links[l.Name] = device.Attrs().Index, device
	}
	for _, n := range contract.Neighbours() {
		testns.SetNeighbour(t, indexes[n.Link], n.Address, n.MAC)
	}
	return indexes
}

// hold makes an interface that another XDP program holds.
func hold(t testing.TB, device, program string) {
	t.Helper()
	l, err := link.AttachXDP(link.XDPOptions{Program: testns.Program(t, program), Interface: testns.Veth(t, device).Attrs().Index})
	if err != nil {
		t.Fatal("attach the holder:", err)
	}
	t.Cleanup(func() { l.Close() })
}

func harness(t *testing.T) contract.Harness { return harnessWith(t, lb.DropNoService) }

func rejecting(t *testing.T) contract.Harness { return harnessWith(t, lb.RejectNoService) }

func harnessWith(t *testing.T, n lb.NoService) contract.Harness {
	indexes := placed(t)
	hold(t, "taken", "squatter")
	o := Options{Dir: testns.PinDir(t), Limits: contract.Limits(), NoService: n, manualClock: true}
	d := open(t, o)
	opened := d
	program, err := d.Program().Clone()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	home, err := nexthop.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(home.Close)
	thread := unix.Gettid() // placed has locked it
	return contract.Harness{
		Dataplane: d, NoService: n,
		Send: func(link string, frame []byte) (v oracle.Verdict, err error) {
			run := func() error {
				under := program
				if !opened.closing.Load() {
					under = opened.Program() // another one while somebody watches
				}
				v, err = send(under, indexes[link], frame)
				return err
			}
			if unix.Gettid() == thread { // to find out by its namespace takes as long as a packet
				err = run()
				return v, err
			}
			err = home.Inside(run)
			return v, err
		},
		Advance: func(t *testing.T, elapsed time.Duration) {
			t.Helper()
			if err := opened.sweep(elapsed); err != nil {
				t.Error("let time pass:", err)
			}
			opened.earn(elapsed)
		},
		ForgetFragments: func(t *testing.T) {
			t.Helper()
			m := opened.objects.Fragments
			at := make([]uint32, m.MaxEntries())
			for n := range at {
				at[n] = uint32(n)
			}
			if _, err := m.BatchUpdate(at, make([]bpf.LbFragmentLine, len(at)), nil); err != nil {
				t.Error("forget fragments:", err)
			}
		},
		Ingress:  indexes,
		MinFrame: 14, MaxFrame: 3000,
		Held: "taken", Holder: "squatter",
		Reopen: func(t *testing.T) lb.Dataplane {
			opened = open(t, o)
			return opened
		},
	}
}

// earn lets time pass for the rates of services, which are stopped.
func (d *Datapath) earn(elapsed time.Duration) {
	for i := range d.registry.tables.RateStates.Len() {
		row := d.registry.tables.RateStates.Row(uint32(i))
		for _, until := range []*uint64{&row.PacketsUntil, &row.FlowsUntil} {
			*until -= min(*until, stopped*uint64(elapsed))
		}
	}
}

func TestContract(t *testing.T) {
	contract.Run(t, harness)
}

func TestContractRejecting(t *testing.T) { contract.RunRejecting(t, rejecting) }

// The kernel and the reference agree on every packet. LBCTL_PACKETS sets how many, LBCTL_SEED
// which ones.
func TestDifferential(t *testing.T) {
	contract.Differential(t, testns.Setting(t, "LBCTL_SEED", 1), int(testns.Setting(t, "LBCTL_PACKETS", 20_000)), rejecting)
}

// They agree on what is recorded of flows, too, through changes of their services and time.
func TestDifferentialFlows(t *testing.T) {
	contract.DifferentialFlows(t, testns.Setting(t, "LBCTL_SEED", 1), int(testns.Setting(t, "LBCTL_PACKETS", 5_000)), harness)
}
