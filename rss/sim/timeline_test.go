package sim_test

import (
	"iter"
	"testing"
	"time"

	"lbctl/rss/sim"
)

const us = time.Microsecond

// TestTimeline: the latencies of single packets, added up by hand. Costs are interrupt 1.5, poll
// 0.3, packet 0.5, application 1, switch 1.5 us.
func TestTimeline(t *testing.T) {
	for _, c := range []struct {
		name      string
		mode      sim.Mode
		delay     time.Duration
		arrivals  []time.Duration
		latencies [2]time.Duration // the least, the greatest
		core      sim.Core
	}{
		{
			"interrupt, packet, switch, application", sim.ModeInterrupt, 8 * us,
			[]time.Duration{0}, [2]time.Duration{4500, 4500},
			sim.Core{Interrupt: 2 * us, Switching: 1500, Application: us, Idle: 95500, Interrupts: 1, Switches: 2, Completed: 1},
		},
		{
			// The second interrupts the first's switch at 3 us, for 2.
			"interrupts take turns before everything", sim.ModeInterrupt, 8 * us,
			[]time.Duration{0, 3 * us}, [2]time.Duration{4500, 6500},
			sim.Core{Interrupt: 4 * us, Switching: 1500, Application: 2 * us, Idle: 92500, Interrupts: 2, Switches: 2, Completed: 2},
		},
		{
			"delay, interrupt, poll, packet, switch, application", sim.ModeNAPI, 8 * us,
			[]time.Duration{0}, [2]time.Duration{12800, 12800},
			sim.Core{Interrupt: 1500, Softirq: 800, Switching: 1500, Application: us, Idle: 95200, Interrupts: 1, Polls: 1, Switches: 2, Completed: 1},
		},
		{
			// At 10 us the first is being processed; the poll takes the second too. Both are in
			// the socket at 10.8; the application runs from 12.3.
			"one poll for two", sim.ModeNAPI, 8 * us,
			[]time.Duration{0, 10 * us}, [2]time.Duration{4300, 13300},
			sim.Core{Interrupt: 1500, Softirq: 1300, Switching: 1500, Application: 2 * us, Idle: 93700, Interrupts: 1, Polls: 1, Switches: 2, Completed: 2},
		},
		{
			// Without delay. The first is processed from 3.8 to 4.8; the interrupt at 4 delays it by
			// 1.5, 0.3 and 0.5.
			"the application is interrupted", sim.ModeNAPI, 0,
			[]time.Duration{0, 4 * us}, [2]time.Duration{4100, 7100},
			sim.Core{Interrupt: 3 * us, Softirq: 1600, Switching: 1500, Application: 2 * us, Idle: 91900, Interrupts: 2, Polls: 2, Switches: 2, Completed: 2},
		},
		{
			// The switch to the first, from 2.3 to 3.8, is interrupted at 3 by the second: 2.3 more.
			"a context switch is interrupted", sim.ModeNAPI, 0,
			[]time.Duration{0, 3 * us}, [2]time.Duration{5100, 7100},
			sim.Core{Interrupt: 3 * us, Softirq: 1600, Switching: 1500, Application: 2 * us, Idle: 91900, Interrupts: 2, Polls: 2, Switches: 2, Completed: 2},
		},
		{
			"delay, interrupt, switch, poll, packet, switch, application", sim.ModeThreaded, 8 * us,
			[]time.Duration{0}, [2]time.Duration{14300, 14300},
			sim.Core{Interrupt: 1500, Ksoftirqd: 800, Switching: 3 * us, Application: us, Idle: 93700, Interrupts: 1, Polls: 1, Switches: 3, Completed: 1},
		},
		{
			// It spins from 12.8, in polls of 0.3: the one that ends at 20.3 does not find it, the next
			// does. It spins again from 22.1 to 72.1, and then sleeps.
			"an application that polls sees the second at once", sim.ModeBusyPoll, 8 * us,
			[]time.Duration{0, 20100}, [2]time.Duration{2000, 12800},
			sim.Core{Interrupt: 1500, Softirq: 800, Switching: 1500, Application: 2 * us, BusyPoll: 800, Spin: 57500, Idle: 35900, Interrupts: 1, Polls: 2, Switches: 2, Completed: 2},
		},
		{
			"asleep, it is woken as ever", sim.ModeBusyPoll, 8 * us,
			[]time.Duration{0, 80 * us}, [2]time.Duration{12800, 12800},
			sim.Core{Interrupt: 3 * us, Softirq: 1600, Switching: 3 * us, Application: 2 * us, Spin: 57200, Idle: 33200, Interrupts: 2, Polls: 2, Switches: 3, Completed: 2},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := machine(t, 1)
			config.Moderation.Frames = 0
			config.Mode, config.Duration, config.Moderation.Delay = c.mode, 100*us, c.delay
			r := run(t, config, at(c.arrivals...))
			sums(t, r)
			if got := [2]time.Duration{r.Latency.Min(), r.Latency.Max()}; got != c.latencies {
				t.Errorf("latencies %v, want %v", got, c.latencies)
			}
			c.core.Packets = c.core.Completed
			if r.Cores[0] != c.core {
				t.Errorf("core\n%+v want\n%+v", r.Cores[0], c.core)
			}
		})
	}
}

// TestBudgetTimeline: the ends of polls and rounds, with budgets of one.
func TestBudgetTimeline(t *testing.T) {
	for _, c := range []struct {
		name      string
		budget    sim.Budget
		latencies [2]time.Duration
		core      sim.Core
	}{
		{
			// 1.5 interrupt, 0.3 poll and 0.5 packet; the second poll the same, the third finds nothing.
			"a poll that used up its budget is not complete",
			sim.Budget{Poll: 1, Round: 10, Rounds: 10, RoundTime: time.Second, BusyPoll: 1},
			[2]time.Duration{5900, 6900},
			sim.Core{Interrupt: 1500, Softirq: 1900, Switching: 1500, Application: 2 * us, Idle: 93100, Interrupts: 1, Polls: 3, Switches: 2, Completed: 2},
		},
		{
			// After one packet the round is over, and the application, which was idle, is due: 1.5 switch
			// and 1 to 4.8. Then ksoftirqd: 1.5 switch, 0.3 and 0.5 for the second packet, 0.3 for an empty
			// poll; and the application again, 1.5 and 1, to 9.9.
			"the application is due at the end of a round",
			sim.Budget{Poll: 1, Round: 1, Rounds: 10, RoundTime: time.Second, BusyPoll: 1},
			[2]time.Duration{4800, 9900},
			sim.Core{Interrupt: 1500, Softirq: 800, Ksoftirqd: 1100, Switching: 4500, Application: 2 * us, Idle: 90100, Interrupts: 1, Polls: 3, Switches: 4, Completed: 2},
		},
		{
			"the same when a round is over by its time",
			sim.Budget{Poll: 1, Round: 10, Rounds: 10, RoundTime: 700, BusyPoll: 1},
			[2]time.Duration{4800, 9900},
			sim.Core{Interrupt: 1500, Softirq: 800, Ksoftirqd: 1100, Switching: 4500, Application: 2 * us, Idle: 90100, Interrupts: 1, Polls: 3, Switches: 4, Completed: 2},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := machine(t, 1)
			config.Duration, config.Moderation, config.Budget = 100*us, sim.Moderation{}, c.budget
			r := run(t, config, at(0, 0))
			sums(t, r)
			if got := [2]time.Duration{r.Latency.Min(), r.Latency.Max()}; got != c.latencies {
				t.Errorf("latencies %v, want %v", got, c.latencies)
			}
			c.core.Packets = c.core.Completed
			if r.Cores[0] != c.core {
				t.Errorf("core\n%+v want\n%+v", r.Cores[0], c.core)
			}
		})
	}
}

// TestRounds: if nothing else is due, all rounds follow each other; then ksoftirqd
// continues.
func TestRounds(t *testing.T) {
	config := machine(t, 1)
	config.Costs.Application, config.Moderation = 0, sim.Moderation{}
	config.Budget = sim.Budget{Poll: 1, Round: 1, Rounds: 3, RoundTime: time.Second, BusyPoll: 1}
	core := run(t, config, at(0, 0, 0, 0, 0, us*50)).Cores[0]
	if core.Softirq != 3*800 || core.Ksoftirqd != 2*800+300 || core.Switches != 2 {
		t.Errorf("got %+v", core)
	}
}

// two is a packet for queue 0 at 0, and one for queue 1, on the same core.
func two(t *testing.T, mode sim.Mode, second time.Duration) (sim.Config, iter.Seq[sim.Arrival]) {
	config := machine(t, 2)
	config.Mode, config.Cores, config.Moderation, config.Duration = mode, []int{0, 0}, sim.Moderation{}, 100*us
	return config, func(yield func(sim.Arrival) bool) {
		_ = yield(sim.Arrival{}) && yield(sim.Arrival{At: second, Hash: 1, Hashed: true})
	}
}

// TestInterruptInSoftirq: one queue's interrupt at 2 us lengthens the packet work for the other, which
// ends at 2.3 + 1.5; its own is done at 4.6, the application with both at 7.1 and 8.1.
func TestInterruptInSoftirq(t *testing.T) {
	config, arrivals := two(t, sim.ModeNAPI, 2*us)
	r := run(t, config, arrivals)
	sums(t, r)
	want := sim.Core{Interrupt: 3 * us, Softirq: 1600, Switching: 1500, Application: 2 * us, Idle: 91900, Interrupts: 2, Polls: 2, Packets: 2, Switches: 2, Completed: 2}
	if r.Cores[0] != want || r.Latency.Max() != 7100 || r.Latency.Min() != 6100 {
		t.Errorf("latencies %v to %v, core\n%+v want\n%+v", r.Latency.Min(), r.Latency.Max(), r.Cores[0], want)
	}
}

// TestWindowEdges: an interrupt from 2 to 3.5 us, in packet work, that the window begins or ends in.
func TestWindowEdges(t *testing.T) {
	config, arrivals := two(t, sim.ModeNAPI, 2*us)
	config.Warmup = 3 * us
	if r := run(t, config, arrivals); r.Cores[0].Interrupt != 500 || r.Cores[0].Softirq != 1100 {
		t.Errorf("from 3 us on: %+v", r.Cores[0])
	}
	config.Warmup, config.Duration = 0, 3*us
	if r := run(t, config, arrivals); r.Cores[0].Interrupt != 2500 || r.Cores[0].Softirq != 500 {
		t.Errorf("to 3 us: %+v", r.Cores[0])
	}
}

// TestTurns: at the end of its slice a thread is preempted in the middle of its work.
func TestTurns(t *testing.T) {
	config := machine(t, 1)
	config.Mode, config.Duration, config.Costs.Application = sim.ModeThreaded, 5*time.Millisecond, 10*time.Millisecond
	if core := run(t, config, at(0, 20*us)).Cores[0]; core.Polls != 2 || core.Ksoftirqd != 1600 {
		t.Errorf("in the application's work: %+v", core)
	}
	// Two interrupts to 3.0, a poll of queue 0 to 3.8; its packet is delivered at 6.3. Queue 1 is
	// polled by ksoftirqd, so that the application spins until the end of its slice at 15.3; then 1.5 switch, poll and
	// packet, 1.5 and the application.
	config, arrivals := two(t, sim.ModeBusyPoll, 0)
	config.Budget.Poll, config.Budget.Round, config.Scheduler.Slice = 1, 1, 10*us
	if r := run(t, config, arrivals); r.Latency.Max() != 20100 {
		t.Errorf("in its spinning: %v, %+v", r.Latency.Max(), r.Cores[0])
	}
}
