// Package sim is a discrete-event simulation of what happens behind a NIC's
// classifier: rings, interrupts and their moderation, the kernel's packet work
// and the application's, on cores that all of these share.
//
// A packet arrives with its RSS hash; the indirection table picks its queue. It
// waits in the queue's ring until the queue's core takes it out, by the rules of a
// Mode, and then in the socket of that core until the application has done its
// work on it. The time from arrival to that moment is its latency. A packet that
// finds the ring or the socket full is dropped.
//
// The rules are those of Linux, whose words are used:
//   - hard interrupts come before everything; a queue's interrupt stays masked
//     from the moment it fires until a poll finds the ring empty (NAPI,
//     net/core/dev.c napi_complete_done);
//   - a poll takes up to Budget.Poll packets, a round of polls ends after
//     Budget.Round packets or Budget.RoundTime (net_rx_action), and what is left after
//     Budget.Rounds rounds, or when another thread is due, goes to ksoftirqd
//     (kernel/softirq.c handle_softirqs), which shares the core with the application;
//   - the application and ksoftirqd take turns of Scheduler.Slice, by shares of the
//     core, and who wakes waits for the other's slice to end (a stand-in for EEVDF with
//     RUN_TO_PARITY, kernel/sched/fair.c). So under overload the socket is filled for a
//     slice and worked off in the next: a small one costs throughput;
//   - adaptive moderation is DIM (lib/dim/net_dim.c);
//   - ModeInterrupt is what was there before: BSD's one interrupt per packet, with the
//     packet work in it, as Mogul and Ramakrishnan describe ("Eliminating Receive
//     Livelock in an Interrupt-Driven Kernel", ACM TOCS 15(3), 1997).
//
// Not in the model: the bus and the caches (a cost is a constant, plus one per
// byte), the timer tick, GRO, RPS, the sender's reaction to a loss, more than one
// application thread a core. It says how a set-up behaves for given costs; it does not say
// what the costs of a machine are.
//
// Time is virtual, a time.Duration since the start in whole nanoseconds. A run depends on
// its Config and its arrivals alone. Runs may go on concurrently.
package sim
