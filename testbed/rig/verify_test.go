package rig_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/observe"
	"lbctl/rss/verify"
	"lbctl/testbed/netns"
	"lbctl/testbed/rig"
)

// model is a NIC with the default set-up and a number of queues.
func model(tb testing.TB, queues int) *nic.NIC {
	tb.Helper()
	config, err := nic.Default(queues)
	check(tb, err)
	n, err := nic.New(config)
	check(tb, err)
	return n
}

// otherKey is the same NIC with another key.
func otherKey(tb testing.TB, n *nic.NIC) *nic.NIC {
	tb.Helper()
	config := n.Config()
	key, _ := rss.Named("symmetric") // flipping a byte would not do: not every bit moves every flow
	config.Key = key
	other, err := nic.New(config)
	check(tb, err)
	return other
}

// watch observes a link while frames are sent out of another one, and verifies all of them.
func watch(t *testing.T, on, from netns.Link, n *nic.NIC, mode observe.Mode, frames [][]byte) (verify.Report, *observe.Observer) {
	t.Helper()
	var o *observe.Observer
	check(t, on.Namespace().Do(func() (err error) {
		o, err = observe.Open(on.Index, observe.Options{Mode: mode, Samples: observe.DefaultSamples})
		return err
	}))
	t.Cleanup(func() { check(t, o.Close()) })
	v, err := verify.New(n)
	check(t, err)
	send(t, from, frames)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // only if they do not come
	defer cancel()
	totals, err := v.Watch(ctx, o, uint64(len(frames)), nil)
	check(t, err)
	if totals.All() != uint64(len(frames)) || totals.NoFlow+totals.TableFull != 0 {
		t.Fatalf("%d frames were sent, the observer has %+v", len(frames), totals)
	}
	return v.Report(), o
}

// agreed fails unless every class of the mixture was compared, and agreed wholly.
func agreed(t *testing.T, r verify.Report, rounds int) {
	t.Helper()
	if r.Verdict != verify.Agrees {
		t.Errorf("verdict %s: %s", r.Verdict, strings.Join(r.Words, "; "))
	}
	seen := map[verify.Class]verify.Agreement{}
	for _, c := range r.Classes {
		seen[c.Class] = c.Queue
		for _, e := range c.Examples {
			t.Errorf("%s: %+v", c.Class, e)
		}
	}
	for _, class := range verify.Classes() {
		want := verify.Agreement{Compared: uint64(rounds), Agreed: uint64(rounds)}
		if got := seen[class]; got != want && class != verify.Malformed {
			t.Errorf("%s: %+v, want %+v", class, got, want)
		}
	}
}

// disagreed fails unless the report says that all this is chance, one in so many queues.
func disagreed(t *testing.T, r verify.Report, queues int) {
	t.Helper()
	if r.Verdict != verify.Chance || !strings.Contains(strings.Join(r.Words, " "), "would by chance") {
		t.Errorf("verdict %s: %q; want %s, and that in words", r.Verdict, r.Words, verify.Chance)
	}
	byChance(t, r, queues)
}

// byChance checks that no more flows agree than any NIC's would.
func byChance(t *testing.T, r verify.Report, queues int) {
	t.Helper()
	share := float64(r.Flows.Agreed) / float64(r.Flows.Hashed)
	if want := 1 / float64(queues); share < want-0.1 || share > want+0.1 {
		t.Errorf("%.3f of the flows agree, want about %.3f", share, want)
	}
}

const rounds = 200

// The verifier over the NIC in user space: every packet of every class is where the model has it.
func TestVerifySoftNIC(t *testing.T) {
	for _, mode := range []observe.Mode{observe.Auto, observe.Generic, observe.Socket} {
		t.Run(string(mode), func(t *testing.T) {
			b := newBed(t, 1, 4, 0)
			wire, err := b.nic.Wire()
			check(t, err)
			host, err := b.nic.Host()
			check(t, err)
			report, o := watch(t, host, wire, b.model, mode, mixture(t, rounds))
			agreed(t, report, rounds)
			if mode == observe.Auto && o.Mode() != observe.Native {
				t.Errorf("observed in mode %s, %q; want native", o.Mode(), o.Notes())
			}
			if report.Hash.Compared != 0 {
				t.Errorf("a TAP told %d hashes", report.Hash.Compared)
			}
		})
	}
}

// The control: another key, and a table that was rewritten, are found out.
func TestVerifySoftNICFindsOut(t *testing.T) {
	b := newBed(t, 1, 4, 0)
	wire, err := b.nic.Wire()
	check(t, err)
	host, err := b.nic.Host()
	check(t, err)
	report, _ := watch(t, host, wire, otherKey(t, b.model), observe.Native, mixture(t, rounds))
	disagreed(t, report, 4)
}

// The verifier over frames steered in the kernel: three implementations agree on the queue of each.
func TestVerifySteer(t *testing.T) {
	for _, queues := range []int{3, 4, 8} {
		t.Run(fmt.Sprint(queues), func(t *testing.T) {
			n := model(t, queues)
			agreed(t, steered(t, n, n, rounds), rounds)
		})
	}
}

// The control: the kernel was given another key than the model.
func TestVerifySteerFindsOut(t *testing.T) {
	n := model(t, 4)
	disagreed(t, steered(t, n, otherKey(t, n), rounds), 4)
}

// Where UDP's ports are not hashed, a model that hashes them is found out, and told why.
func TestVerifySteerNamesTheFields(t *testing.T) {
	n := model(t, 4)
	config := n.Config()
	config.UDP4, config.UDP6 = rss.Addresses, rss.Addresses
	addresses, err := nic.New(config)
	check(t, err)
	agreed(t, steered(t, addresses, addresses, rounds), rounds)
	report := steered(t, addresses, n, rounds)
	if report.Verdict != verify.Disagrees {
		t.Errorf("verdict %s: %q", report.Verdict, report.Words)
	}
	for _, c := range report.Classes {
		udp := c.Class == verify.UDP4 || c.Class == verify.UDP6
		if (c.Explained == "sd") != udp || (len(c.Examples) > 0) != udp {
			t.Errorf("%s: explained by %q, %d examples", c.Class, c.Explained, len(c.Examples))
		}
	}
}

// steered sends frames out of a TAP that is steered by one NIC, and verifies them against another.
func steered(t *testing.T, by, against *nic.NIC, rounds int) verify.Report {
	t.Helper()
	need.Root(t)
	frames := mixture(t, rounds)
	v, err := verify.New(against)
	check(t, err)
	var mu sync.Mutex
	var seen sync.WaitGroup
	seen.Add(len(frames))
	s := startSteer(t, by, func(q rss.Queue, frame []byte) {
		mu.Lock()
		defer mu.Unlock()
		v.Add(verify.Observation{Frame: frame, Queue: q, Packets: 1})
		seen.Done()
	})
	host, err := s.Host()
	check(t, err)
	send(t, host, frames)
	seen.Wait()
	check(t, s.Close())
	return v.Report()
}

func startSteer(t *testing.T, by *nic.NIC, receive func(rss.Queue, []byte)) *rig.Steer {
	t.Helper()
	run, err := netns.NewRun()
	check(t, err)
	t.Cleanup(func() { check(t, run.Close()) })
	ns, err := run.Make("steer")
	check(t, err)
	s, err := rig.StartSteer(rig.SteerConfig{Host: netns.End{Namespace: ns, Name: "steered"}, NIC: by}, receive)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// The negative control: a veth pair spreads by no key of ours, and the verifier says no.
func TestVerifyVeth(t *testing.T) {
	need.Root(t)
	const queues = 4
	for _, mode := range []observe.Mode{observe.Auto, observe.Native, observe.Socket} {
		t.Run(string(mode), func(t *testing.T) {
			run, err := netns.NewRun()
			check(t, err)
			t.Cleanup(func() { check(t, run.Close()) })
			clients, err := run.Make("clients")
			check(t, err)
			balancer, err := run.Make("host")
			check(t, err)
			wire, host, err := rig.StartVeth(netns.End{Namespace: clients, Name: "wire"}, netns.End{Namespace: balancer, Name: "host"}, queues)
			check(t, err)
			report, o := watch(t, host, wire, model(t, queues), mode, mixture(t, rounds))
			// The kernel's hash has a secret of the boot, and puts many of these packets on few
			// queues: whether that is within the band of chance is by chance itself.
			if report.Verdict != verify.Chance && report.Verdict != verify.Disagrees {
				t.Errorf("verdict %s: %q; want a refutation", report.Verdict, report.Words)
			}
			byChance(t, report, queues)
			if !o.AsksHash() || report.Hash.Compared == 0 || report.Hash.Agreed != 0 {
				t.Errorf("asked %v, %+v; want the kernel's own hash, never the model's", o.AsksHash(), report.Hash)
			}
		})
	}
}
