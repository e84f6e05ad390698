package sim

import (
	"fmt"
	"slices"
	"strings"
)

// Mode is how packets come from the ring to the application.
type Mode string

const (
	// ModeInterrupt raises an interrupt for every packet and does its packet work in it.
	// Moderation and Budget are ignored.
	ModeInterrupt Mode = "interrupt"
	// ModeNAPI polls in softirq context after an interrupt, and leaves to ksoftirqd the work that
	// exceeds the budget: Linux's default.
	ModeNAPI Mode = "napi"
	// ModeThreaded polls in a thread from the first packet on, which shares the core with the
	// application: /sys/class/net/IFACE/threaded. The thread is accounted as ksoftirqd.
	ModeThreaded Mode = "threaded"
	// ModeBusyPoll has the application poll its core's rings itself while it is awake, with
	// interrupts masked: SO_PREFER_BUSY_POLL, with napi_defer_hard_irqs and a
	// gro_flush_timeout that does not expire (Documentation/networking/napi.rst). A sleeping application is woken as in
	// ModeNAPI.
	ModeBusyPoll Mode = "busypoll"
)

// Modes returns all modes, the oldest first.
func Modes() []Mode { return []Mode{ModeInterrupt, ModeNAPI, ModeThreaded, ModeBusyPoll} }

// ParseMode reads the name of a mode.
func ParseMode(s string) (Mode, error) {
	if slices.Contains(Modes(), Mode(s)) {
		return Mode(s), nil
	}
	names := make([]string, len(Modes()))
	for i, m := range Modes() {
		names[i] = string(m)
	}
	return "", fmt.Errorf("mode %q is not known: want one of %s", s, strings.Join(names, ", "))
}
