package sim_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lbctl/rss/sim"
	"lbctl/rss/sim/load"
)

// TestRepeatable: the same machine and load give the same result in every counter.
func TestRepeatable(t *testing.T) {
	for _, mode := range sim.Modes() {
		config := machine(t, 8)
		config.Mode, config.Cores, config.Duration = mode, sim.Spread(8, 3), 20*time.Millisecond
		config.Moderation.Adaptive = true
		result := func(seed uint64) sim.Result {
			return run(t, config, traffic(t, 8, load.Config{
				Seed: seed, Rate: config.Capacity(64), Timing: load.Bursts, On: time.Millisecond, Off: time.Millisecond,
				Choice: load.Zipf, Skew: 1, Flows: 100, Lengths: load.IMIX(),
			}).Arrivals())
		}
		options := cmp.AllowUnexported(sim.Histogram{})
		if diff := cmp.Diff(result(1), result(1), options); diff != "" {
			t.Errorf("%s, two runs with seed 1:\n%s", mode, diff)
		}
		if cmp.Equal(result(1), result(2), options) {
			t.Errorf("%s: seeds 1 and 2 give the same", mode)
		}
	}
}

// TestAccounts: for any machine and load the sums of packets and times are correct, and rings and sockets
// do not exceed their sizes.
func TestAccounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config, arrivals := anyMachine(t), anyLoad(t)
		r, err := sim.Run(context.Background(), config, arrivals)
		if err != nil {
			t.Fatal(err)
		}
		sums(t, r)
		completed := uint64(0)
		for _, q := range r.Queues {
			if q.Offered != q.Delivered+q.RingDrops+q.SocketDrops || q.Highest > config.Ring {
				t.Errorf("queue %+v", q)
			}
		}
		for _, c := range r.Cores {
			completed += c.Completed
		}
		if completed != r.Completed || config.Warmup == 0 && completed > r.Delivered {
			t.Errorf("%d completed, %d by core; %d delivered", r.Completed, completed, r.Delivered)
		}
	})
}

// anyMachine has from one to five queues on fewer or as many cores, and tight limits.
func anyMachine(t *rapid.T) sim.Config {
	queues := rapid.IntRange(1, 5).Draw(t, "queues")
	config, err := sim.Default(queues)
	if err != nil {
		t.Fatal(err)
	}
	cost := rapid.Map(rapid.SampledFrom([]int{0, 1, 100, 1000, 5000}), func(n int) time.Duration { return time.Duration(n) })
	small := rapid.IntRange(1, 6)
	config.Mode = rapid.SampledFrom(sim.Modes()).Draw(t, "mode")
	config.Cores = sim.Spread(queues, rapid.IntRange(1, queues).Draw(t, "cores"))
	config.Ring, config.Socket = small.Draw(t, "ring"), small.Draw(t, "socket")
	config.Moderation = sim.Moderation{
		Delay: 1 + cost.Draw(t, "delay"), Frames: small.Draw(t, "frames") - 1, Adaptive: rapid.Bool().Draw(t, "adaptive"),
	}
	config.Costs = sim.Costs{
		Interrupt: cost.Draw(t, "interrupt"), Poll: cost.Draw(t, "poll"), Packet: cost.Draw(t, "packet"),
		PerKiB: cost.Draw(t, "per KiB"), Application: cost.Draw(t, "application"), Switch: cost.Draw(t, "switch"),
	}
	config.Budget = sim.Budget{
		Poll: small.Draw(t, "poll budget"), Round: small.Draw(t, "round"), Rounds: small.Draw(t, "rounds"),
		RoundTime: 1 + cost.Draw(t, "round time"), BusyPoll: small.Draw(t, "busy budget"),
	}
	config.Scheduler = sim.Scheduler{Slice: 1 + cost.Draw(t, "slice"), Share: rapid.IntRange(1, 99).Draw(t, "share")}
	config.BusyPoll = 1 + 10*cost.Draw(t, "busy poll")
	config.Warmup = cost.Draw(t, "warm-up")
	config.Duration = config.Warmup + 1 + 100*cost.Draw(t, "duration")
	return config
}

// anyLoad is up to 300 packets, some of them at once.
func anyLoad(t *rapid.T) iter.Seq[sim.Arrival] {
	gaps := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, 0, 1, 50, 300, 1000, 9000}), 0, 300).Draw(t, "gaps")
	return func(yield func(sim.Arrival) bool) {
		now := time.Duration(0)
		for i, gap := range gaps {
			now += gap
			if !yield(sim.Arrival{At: now, Length: i, Hash: uint32(i * i), Hashed: i%7 > 0}) {
				return
			}
		}
	}
}

// TestQueueOfHash: the indirection table picks the queue; without a hash it is queue 0.
func TestQueueOfHash(t *testing.T) {
	config := machine(t, 4)
	arrivals := []sim.Arrival{{Hash: 6, Hashed: true}, {Hash: 130, Hashed: true}, {Hash: 3, Hashed: true}, {Hash: 3}}
	r := run(t, config, func(yield func(sim.Arrival) bool) {
		for _, a := range arrivals {
			if !yield(a) {
				return
			}
		}
	})
	var got []uint64
	for _, q := range r.Queues {
		got = append(got, q.Offered)
	}
	if diff := cmp.Diff([]uint64{1, 0, 2, 1}, got); diff != "" {
		t.Errorf("packets by queue (-want +got):\n%s", diff)
	}
}

// TestQueuesShareACore: the packets of two queues of one core take that core's time.
func TestQueuesShareACore(t *testing.T) {
	config := machine(t, 4)
	config.Cores = []int{0, 1, 0, 1}
	r := run(t, config, spread(10*time.Microsecond, 4000))
	sums(t, r)
	if len(r.Cores) != 2 || r.Cores[0].Completed < 1990 || r.Cores[0].Application != r.Cores[1].Application {
		t.Errorf("cores %+v", r.Cores)
	}
	if r.Queues[2].Core != 0 || r.Queues[3].Core != 1 {
		t.Errorf("queues %+v", r.Queues)
	}
}

// TestNoAllocation: ten times as many packets make no further allocation.
func TestNoAllocation(t *testing.T) {
	for _, mode := range sim.Modes() {
		allocations := func(d time.Duration) float64 {
			config := machine(t, 4)
			config.Mode, config.Duration = mode, d
			l := traffic(t, 4, load.Config{Seed: 1, Rate: 1e6, Timing: load.Poisson, Choice: load.Flood, Lengths: load.IMIX()})
			return testing.AllocsPerRun(3, func() { run(t, config, l.Arrivals()) })
		}
		if few, many := allocations(2*time.Millisecond), allocations(20*time.Millisecond); many > few {
			t.Errorf("%s: %g allocations for 2,000 packets, %g for 20,000", mode, few, many)
		}
	}
}

func TestWrongArrivals(t *testing.T) {
	late := func(a ...sim.Arrival) iter.Seq[sim.Arrival] {
		return func(yield func(sim.Arrival) bool) {
			for _, v := range a {
				if !yield(v) {
					return
				}
			}
		}
	}
	warm := machine(t, 1)
	warm.Warmup = time.Second
	for _, c := range []struct {
		name     string
		config   sim.Config
		arrivals iter.Seq[sim.Arrival]
		want     string
	}{
		{"back in time", machine(t, 1), late(sim.Arrival{At: 5}, sim.Arrival{At: 4}), "take arrival 1: at 4ns, before the one ahead of it at 5ns"},
		{"before the start", machine(t, 1), late(sim.Arrival{At: -1}), "take arrival 0: at -1ns, before the one ahead of it at 0s"},
		{"length", machine(t, 1), late(sim.Arrival{Length: -1}), "take arrival 0: length of -1 bytes"},
		{"all in the warm-up", warm, at(0, 1), "simulate: the last arrival is at 1ns, before the warm-up of 1s ends"},
	} {
		if _, err := sim.Run(t.Context(), c.config, c.arrivals); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	if r := run(t, machine(t, 1), at()); r.Offered != 0 || r.Window != 0 {
		t.Errorf("of nothing: %+v", r)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sim.Run(ctx, machine(t, 1), poisson(t, 1, 1e6)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*sim.Config)
		want   string
	}{
		{"none", func(*sim.Config) {}, ""},
		{"mode", func(c *sim.Config) { c.Mode = "napy" }, `mode "napy" is not known`},
		{"table", func(c *sim.Config) { c.Table = nil }, "indirection table of 0 entries"},
		{"queue without a core", func(c *sim.Config) { c.Table[5] = 4 }, "cores for 4 queues: the indirection table names 5"},
		{"core", func(c *sim.Config) { c.Cores[1] = 4 }, "core 4 of queue 1: want 0 to 3"},
		{"core below 0", func(c *sim.Config) { c.Cores[1] = -1 }, "core -1 of queue 1"},
		{"gap", func(c *sim.Config) { c.Cores[1] = 0 }, "core 1 has no queue"},
		{"ring", func(c *sim.Config) { c.Ring = 0 }, "ring of 0 packets: want 1 to 65536"},
		{"socket", func(c *sim.Config) { c.Socket = 1 << 17 }, "socket of 131072 packets"},
		{"delay", func(c *sim.Config) { c.Moderation.Delay = -1 }, "interrupt delay of -1ns"},
		{"frames", func(c *sim.Config) { c.Moderation.Frames = -1 }, "interrupt after -1 frames"},
		{"frames alone", func(c *sim.Config) { c.Moderation = sim.Moderation{Frames: 2} }, "without a delay"},
		{"cost", func(c *sim.Config) { c.Costs.Application = 2 * time.Second }, "application cost of 2s"},
		{"budget", func(c *sim.Config) { c.Budget.Round = 0 }, "round budget of 0"},
		{"round time", func(c *sim.Config) { c.Budget.RoundTime = 0 }, "round time of 0s"},
		{"busy poll", func(c *sim.Config) { c.Mode, c.BusyPoll = sim.ModeBusyPoll, 0 }, "busy poll of 0s"},
		{"share", func(c *sim.Config) { c.Scheduler.Share = 100 }, "share of 100 %"},
		{"warm-up", func(c *sim.Config) { c.Warmup, c.Duration = 5, 5 }, "warm-up of 5ns in 5ns"},
		{"duration", func(c *sim.Config) { c.Duration = -5 }, "want neither below 0"},
	} {
		config := machine(t, 4)
		c.change(&config)
		err := config.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
