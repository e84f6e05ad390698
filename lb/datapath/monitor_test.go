package datapath

import (
	"errors"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// The ordinary program has nothing to do with samples: without a monitor they cost nothing.
func TestOrdinaryProgramHasNoSamples(t *testing.T) {
	spec, err := bpf.LoadLb()
	if err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]bool{bpf.LbProgLb: false, bpf.LbProgLbMonitored: true} {
		maps := spec.Programs[program].Instructions.ReferenceOffsets()
		for _, name := range []string{bpf.LbMapSampleBuffers, bpf.LbMapSamples, bpf.LbMapSampleFilters} {
			if _, has := maps[name]; has != want {
				t.Errorf("%s refers to %s: %v, want %v", program, name, has, want)
			}
		}
	}
}

// The monitoring program and the reference agree on every packet and every sample.
func TestDifferentialMonitored(t *testing.T) {
	contract.DifferentialMonitored(t, testns.Setting(t, "LBCTL_SEED", 1), int(testns.Setting(t, "LBCTL_PACKETS", 5_000)), harness)
}

// watchAll opens a monitor of everything.
func watchAll(t *testing.T, d *Datapath) lb.Monitor {
	t.Helper()
	m, err := d.Monitor(lb.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func closed(t *testing.T, m interface{ Close() error }) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Error("close:", err)
	}
}

// holds checks which program the interfaces have.
func holds(t *testing.T, when string, want uint32, names ...string) {
	t.Helper()
	for _, name := range names {
		if got := attached(t, name); got != want {
			t.Errorf("%s: %s has program %d, want %d", when, name, got, want)
		}
	}
}

// While there is a monitor, all links have the monitoring program, those that are attached meanwhile too.
func TestMonitorStandsInPlace(t *testing.T) {
	inNamespace(t)
	o := Options{Dir: testns.PinDir(t)}
	attachedTo(t, o, "early")
	d := open(t, o)
	ordinary := programID(t, d)
	first := watchAll(t, d)
	monitoring := programID(t, d)
	if monitoring == ordinary {
		t.Fatal("there is no other program")
	}
	testns.Veth(t, "late")
	if _, err := d.Attach(t.Context(), "late", lb.Auto); err != nil {
		t.Fatal(err)
	}
	holds(t, "watched", monitoring, "early", "late")
	second := watchAll(t, d)
	holds(t, "watched by two", monitoring, "early", "late")
	closed(t, first)
	closed(t, first)
	holds(t, "watched by the other", monitoring, "early", "late")
	closed(t, second)
	holds(t, "not watched", ordinary, "early", "late")
	watchAll(t, d)
	closed(t, d)
	holds(t, "closed while watched", ordinary, "early", "late")
}

// A process that is killed while it monitors leaves the monitoring program. The next one puts the ordinary one
// back.
func TestMonitorLeftBehind(t *testing.T) {
	inNamespace(t)
	o := Options{Dir: testns.PinDir(t)}
	attachedTo(t, o, "up")
	killed := open(t, o)
	watchAll(t, killed)
	holds(t, "left behind", programID(t, killed), "up")
	if err := killed.dir.Close(); err != nil { // the kernel releases its lock
		t.Fatal(err)
	}
	next := open(t, o)
	holds(t, "after the next start", programID(t, next), "up")
	p, err := next.links.hook.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if info, err := p.Info(); err != nil || info.Name != bpf.LbProgLb {
		t.Errorf("%v is pinned, %v", info, err)
	}
	killed.links.hook.Links = nil // it is dead: its end in the test changes nothing
}

// A deleted interface gives no samples and does not keep others from giving them.
func TestMonitorAfterInterfaceIsDeleted(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{})
	for _, name := range []string{"gone", "up"} {
		testns.Veth(t, name)
		if _, err := d.Attach(t.Context(), name, lb.Auto); err != nil {
			t.Fatal(err)
		}
	}
	l, err := netlink.LinkByName("gone")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(l); err != nil {
		t.Fatal(err)
	}
	ordinary, m := programID(t, d), watchAll(t, d)
	holds(t, "watched", programID(t, d), "up")
	closed(t, m)
	holds(t, "not watched", ordinary, "up")
}

// If one link keeps its program, the monitor fails and all links have the ordinary one.
func TestMonitorTakenBack(t *testing.T) {
	inNamespace(t)
	o := Options{Dir: testns.PinDir(t)}
	attachedTo(t, o, "first", "second")
	d := open(t, o)
	last := slices.Max(slices.Collect(maps.Keys(d.links.hook.Links)))
	willing := d.links.hook.Links[last]
	d.links.hook.Links[last] = stubborn{willing}
	m, err := d.Monitor(lb.Filter{})
	if !errors.Is(err, errStubborn) {
		t.Errorf("monitor: %v, %v", m, err)
	}
	holds(t, "after the refusal", programID(t, d), "first", "second")
	d.links.hook.Links[last] = willing
	closed(t, watchAll(t, d))
}

// A monitor tells how many samples there was no room for, in the kernel and in the channel.
func TestMonitorCountsLost(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{ring: 1 << 12})
	m := watchAll(t, d)
	frame := toVIP("192.0.2.1:80", 1, false)
	if _, err := d.Program().Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 256), Repeat: 100_000}); err != nil {
		t.Fatal(err)
	}
	c, err := d.Counters()
	if err != nil {
		t.Fatal(err)
	}
	sent := c.Reasons[lb.NotOurs].Packets
	told := func() uint64 { return uint64(len(m.Samples())) + m.Lost() }
	for deadline := time.Now().Add(10 * time.Second); told() < sent && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	inKernel := d.monitoring.running.filter.Row(0).Lost
	t.Logf("%d packets, %d samples wait, %d lost, %d of them in the kernel", sent, len(m.Samples()), m.Lost(), inKernel)
	if inKernel == 0 || inKernel > m.Lost() || told() != sent {
		t.Errorf("%d samples make %d packets, of which %d were lost in the kernel", told(), sent, inKernel)
	}
}

// A sample that no monitor wants does not leave the kernel.
func TestMonitorFiltersInKernel(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{ring: 1 << 12})
	other, one := web("192.0.2.2:80", "10.1.0.2:80"), web("192.0.2.1:80")
	for _, s := range []lb.Service{one, other} {
		if err := d.SetService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		filters []lb.Filter
		leaves  bool
	}{
		"all":           {[]lb.Filter{{}}, true},
		"reason":        {[]lb.Filter{{Reasons: []lb.Reason{lb.Forwarded, lb.NotOurs}}}, false},
		"service":       {[]lb.Filter{{Service: other.VIP}}, false},
		"every":         {[]lb.Filter{{Every: 1 << 31}}, false},
		"two reasons":   {[]lb.Filter{{Reasons: []lb.Reason{lb.NotOurs}}, {Reasons: []lb.Reason{lb.Hairpin}}}, false},
		"two services":  {[]lb.Filter{{Service: other.VIP}, {Service: other.VIP, Every: 2}}, false},
		"another's":     {[]lb.Filter{{Service: other.VIP}, {Service: one.VIP}}, true},
		"another's all": {[]lb.Filter{{Reasons: []lb.Reason{lb.Hairpin}}, {}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var monitors []lb.Monitor
			for _, f := range c.filters {
				m, err := d.Monitor(f)
				if err != nil {
					t.Fatal(err)
				}
				monitors = append(monitors, m)
			}
			leaves := func() bool {
				before := d.monitoring.running.filter.Row(0).Lost
				frame := toVIP("192.0.2.1:80", 1, false)
				if _, err := d.Program().Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 256), Repeat: 20_000}); err != nil {
					t.Fatal(err)
				}
				return d.monitoring.running.filter.Row(0).Lost > before
			}
			if got := leaves(); got != c.leaves {
				t.Errorf("more leaves the kernel than there is room for: %v, want %v", got, c.leaves)
			}
			for _, m := range monitors[1:] {
				closed(t, m)
			}
			if len(monitors) > 1 && leaves() {
				t.Error("what only those wanted that have left still leaves the kernel")
			}
			closed(t, monitors[0])
		})
	}
}
