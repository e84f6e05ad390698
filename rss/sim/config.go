package sim

import (
	"time"

	"lbctl/rss"
)

// Config is a machine: a NIC, its cores, and what things cost on them. Default returns
// one; the zero value is not valid.
type Config struct {
	Mode Mode
	// Table is the NIC's indirection table. Every queue it names has a core.
	Table rss.Table
	// Cores says for each queue which core takes its interrupts and runs the application
	// of its packets. Cores are numbered from 0, without gaps; several queues may share one.
	Cores []int
	// Ring is the number of packets that a queue's ring holds, the one in work included: 1 to MaxRing.
	// (ethtool -G IFACE rx RING)
	Ring int
	// Socket is the number of packets that wait for the application of a core, the one in
	// work not included: 1 to MaxRing.
	Socket     int
	Moderation Moderation
	Costs      Costs
	Budget     Budget
	Scheduler  Scheduler
	// BusyPoll is how long the application polls for nothing before it sleeps (SO_BUSY_POLL), in
	// ModeBusyPoll; above 0 there.
	BusyPoll time.Duration
	// Warmup is when counting begins: packets that arrive and time that passes before it are
	// simulated but not counted.
	Warmup time.Duration
	// Duration is when the simulation ends: arrivals from then on are not taken. 0 stands for
	// the last arrival. Packets still inside are then worked off.
	Duration time.Duration
}

// MaxRing bounds rings and sockets: 65536 packets, 1 MiB each.
const MaxRing = 1 << 16

// Moderation is a queue's interrupt moderation: the interrupt waits for the first of
// Delay and Frames. The zero value interrupts at once.
type Moderation struct {
	// Delay is counted from the first packet after the interrupt was unmasked
	// (ethtool -C IFACE rx-usecs). 0 interrupts at once; it is at most a second.
	Delay time.Duration
	// Frames is the number of packets that end the wait (rx-frames); 0 or more, 0 for no
	// such limit. Above 1 it needs a Delay, without which a last packet would wait for ever.
	Frames int
	// Adaptive has DIM choose both (adaptive-rx), beginning with its default profile.
	Adaptive bool
}

// Costs are the times that a core spends. All are at least 0 and at most a second.
type Costs struct {
	// Interrupt is for each hard interrupt: entry, handler, exit.
	Interrupt time.Duration
	// Poll is for each call of a queue's poll function, empty ones included.
	Poll time.Duration
	// Packet is for the packet work: driver and protocols up to the socket; PerKiB is what 1024
	// bytes of the frame add to it.
	Packet, PerKiB time.Duration
	// Application is for each packet in the application. 0: there is none, and a packet is
	// delivered when its packet work is done.
	Application time.Duration
	// Switch is for each change to another thread, not for that to idle.
	Switch time.Duration
}

// Budget bounds NAPI's work.
type Budget struct {
	// Poll is how many packets one poll takes: 64 (NAPI_POLL_WEIGHT).
	Poll int
	// Round and RoundTime end a round of polls: 300 packets (net.core.netdev_budget), 2 ms
	// (net.core.netdev_budget_usecs, and MAX_SOFTIRQ_TIME over all rounds).
	Round     int
	RoundTime time.Duration
	// Rounds is how many rounds run before ksoftirqd is woken: 10 (MAX_SOFTIRQ_RESTART).
	Rounds int
	// BusyPoll is how many packets the application takes at once when it polls: 8
	// (BUSY_POLL_BUDGET).
	BusyPoll int
}

// Scheduler shares a core between the application and ksoftirqd, when both have work.
type Scheduler struct {
	// Slice is how long a thread runs before the other's turn.
	Slice time.Duration
	// Share is the application's part of the time, in percent, 1 to 99.
	Share int
}
