package checkpath_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/bpf/need"
	"lbctl/lb"
	"lbctl/lb/checkpath"
	"lbctl/lb/nexthop"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// BenchmarkPacket is what a packet costs that is no check's, where it leaves and where it comes in, beside a program that does
// nothing.
func BenchmarkPacket(b *testing.B) {
	need.Root(b)
	spec, err := bpf.LoadCheck()
	if err != nil {
		b.Fatal(err)
	}
	if err := spec.Variables[bpf.CheckVarCheckMark].Set(uint32(checkpath.DefaultMark)); err != nil {
		b.Fatal(err)
	}
	var o bpf.CheckObjects
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	nothing, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer nothing.Close()
	tcp4 := make([]byte, 100)
	tcp4[12], tcp4[14], tcp4[14+9] = 8, 0x45, 6
	tcp6 := make([]byte, 100)
	tcp6[12], tcp6[13], tcp6[14], tcp6[14+6] = 0x86, 0xdd, 0x60, 6
	for name, p := range map[string]*ebpf.Program{"nothing": nothing, "sent": o.LbCheckSent, "answered": o.LbCheckAnswered} {
		for family, frame := range map[string][]byte{"v4": tcp4, "v6": tcp6} {
			b.Run(name+" "+family, func(b *testing.B) {
				code, took, err := p.Benchmark(frame, 5_000_000, nil)
				if err != nil || int32(code) != -1 {
					b.Fatal(int32(code), err)
				}
				b.ReportMetric(float64(took.Nanoseconds()), "ns/packet")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// cpu is the time that this process has used the processor, also for what the kernel does for it and its servers.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var used unix.Rusage
	must(tb, unix.Getrusage(unix.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkCheck opens and resets a TCP connection to a replica, directly and as a check, in turns.
func BenchmarkCheck(b *testing.B) {
	for name, s := range someServices() {
		b.Run(name, func(b *testing.B) {
			bed := newBed(b)
			bed.open(checkpath.Options{})
			bed.hold(0, s)
			bed.serve(0, s.VIP.Address.Addr())
			bed.well(s, 0)
			var spent [2]time.Duration
			const rounds = 20
			for i := range 2 * rounds {
				began := cpu(b)
				must(b, bed.balancer.Do(func() error {
					for range b.N/rounds + 1 {
						if err := reset(bed.path, s, i%2 == 1); err != nil {
							return err
						}
					}
					return nil
				}))
				spent[i%2] += cpu(b) - began
			}
			each := float64(rounds * (b.N/rounds + 1))
			b.ReportMetric(float64(spent[0])/each, "cpu-ns/direct")
			b.ReportMetric(float64(spent[1])/each, "cpu-ns/check")
			b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// reset opens a connection and resets it.
func reset(p *checkpath.Path, s lb.Service, asCheck bool) (err error) {
	to, d := s.Replicas[0].Address, net.Dialer{}
	if asCheck {
		if to, d.Control, err = p.Route(s, to); err != nil {
			return err
		}
	}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		return err
	}
	return errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close())
}

// BenchmarkLive sends datagrams of the host's own by an interface, with checks' programs there and without, in turns.
func BenchmarkLive(b *testing.B) {
	s := service(lb.DSR, lb.Plain, false, false)
	bed := newBed(b)
	bed.hold(0, s)
	bed.serve(0, s.VIP.Address.Addr())
	c, err := bed.direct("udp", netip.MustParseAddrPort("10.0.0.2:9"))
	must(b, err)
	defer c.Close()
	var spent [2]time.Duration
	const rounds = 20
	for i := range 2 * rounds {
		if i%2 == 1 {
			bed.open(checkpath.Options{})
			bed.well(s, 0)
		}
		began := cpu(b)
		for range b.N/rounds + 1 {
			c.Write([]byte("datagram")) // the port is closed
		}
		spent[i%2] += cpu(b) - began
		bed.close()
	}
	each := float64(rounds * (b.N/rounds + 1))
	b.ReportMetric(float64(spent[0])/each, "cpu-ns/without")
	b.ReportMetric(float64(spent[1])/each, "cpu-ns/with")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRoute asks for the route of a check to each of 10,000 replicas, after a change of the network and after none.
func BenchmarkRoute(b *testing.B) {
	bed := newBed(b)
	bed.open(checkpath.Options{})
	s := service(lb.DSR, lb.Plain, false, false)
	each := func(b *testing.B) {
		for i := range 10_000 {
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), port)
			if _, _, err := bed.path.Route(s, to); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, changed := range map[string]bool{"changed": true, "known": false} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if changed {
					bed.path.Refresh(nexthop.Everything())
				}
				each(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/route")
		})
	}
}
