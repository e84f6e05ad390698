package tophalf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/trace"
)

// The made-up reception of a driver with polls: who runs in which context, what the tracer says.
const modern = `
receiver .....  schedule <-do_read
idle     d.h1.  hrtimer_interrupt <-timer
idle     .....  irq_enter_rcu <-common_interrupt
idle     d.h1.  handle_irq_event <-handle_fasteoi_irq
idle     d.h1.  ring_before_e1000: (x) irq=10 next=2 tail=0
idle     d.h1.  get_kprobe <-kprobe_ftrace_handler
idle     d.h1.  irq_handler_entry: irq=10 name=eth0
idle     d.h1.  e1000_intr <-__handle_irq_event_percpu
idle     d.h1.  __napi_schedule <-e1000_intr
idle     d.h1.  ring_after_e1000: (x) irq=10 next=2 tail=0
idle     ..s1.  softirq_entry: vec=3 [action=NET_RX]
idle     ..s1.  ring_poll_e1000: (x) napi=0x10 next=2 tail=0
idle     ..s1.  e1000_clean <-__napi_poll
idle     ..s1.  e1000_clean_rx_irq <-e1000_clean
idle     ..s1.  tcp_v4_rcv <-ip_protocol_deliver_rcu
idle     ..s1.  __tcp_send_ack.part.0 <-tcp_v4_do_rcv
idle     d.H1.  hrtimer_interrupt <-timer
idle     ..s1.  sock_def_readable <-tcp_data_queue
idle     ..s1.  napi_complete_done <-e1000_clean
idle     ..s1.  ring_done_e1000: (x) napi=0x10 next=3 tail=1
idle     ..s1.  softirq_exit: vec=3 [action=NET_RX]
idle     ..s1.  softirq_entry: vec=1 [action=TIMER]
idle     ..s1.  run_timer_softirq <-handle_softirqs
receiver .....  skb_copy_datagram_iter <-tcp_recvmsg_locked
other    .....  do_nanosleep <-hrtimer_nanosleep`

// old is that of a driver without polls and a NIC without DMA.
const old = `
idle     d.h1.  ring_before_ne2k_pci: (x) irq=11 next=70
idle     d.h1.  irq_handler_entry: irq=11 name=eth0
idle     d.h1.  ei_interrupt <-__handle_irq_event_percpu
idle     d.h1.  ne2k_pci_get_8390_hdr <-ei_receive
idle     d.h1.  ne2k_pci_block_input <-ei_receive
idle     d.h1.  ring_after_ne2k_pci: (x) irq=11 next=75
idle     ..s1.  softirq_entry: vec=3 [action=NET_RX]
idle     ..s1.  tcp_v4_rcv <-ip_protocol_deliver_rcu
idle     ..s1.  tcp_send_ack <-tcp_v4_do_rcv
idle     ..s1.  sock_def_readable <-tcp_data_queue
idle     ..s1.  softirq_exit: vec=3 [action=NET_RX]
receiver .....  skb_copy_datagram_iter <-tcp_recvmsg_locked`

// receive classifies a made-up recording, after changes to its text, by pairs of old and new.
func receive(text string, changes ...string) Reception {
	r := Recording{Interrupt: "eth0", Receiver: 7}
	for line := range strings.Lines(strings.NewReplacer(changes...).Replace(text)) {
		task, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		context, what, _ := strings.Cut(strings.TrimSpace(rest), " ")
		record := trace.Record{Task: task, Context: context, Thread: map[string]int{"receiver": 7}[task]}
		what = strings.TrimSpace(what)
		if name, caller, ok := strings.Cut(what, " <-"); ok {
			record.Name, record.Caller = name, caller
		} else {
			record.Name, record.Text, _ = strings.Cut(what, ": ")
		}
		r.Records = append(r.Records, record)
	}
	return classify(r)
}

func evidence(all ...Reception) Evidence { return Evidence{Receptions: all} }

func TestClassify(t *testing.T) {
	r := receive(modern)
	var got []string
	for _, c := range r.Calls {
		got = append(got, fmt.Sprint(c.Place, ": ", c.Name))
	}
	want := []string{
		"top half: handle_irq_event", "top half: e1000_intr", "top half: __napi_schedule",
		"softirq: e1000_clean", "softirq: e1000_clean_rx_irq", "softirq: tcp_v4_rcv", "softirq: __tcp_send_ack",
		"softirq: sock_def_readable", "softirq: napi_complete_done", "process: skb_copy_datagram_iter",
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r.Interrupts != 1 || r.Early != 0 {
		t.Errorf("%d interrupts, %d early; want 1 and 0", r.Interrupts, r.Early)
	}
	if got, want := r.moves(), (Moves{Interrupts: 1, Polls: 1, MovedInPoll: 1}); got != want {
		t.Errorf("moves %+v, want %+v", got, want)
	}
}

// Each check passes on what a driver with polls does, and fails where that one thing is otherwise.
func TestChecksCanFail(t *testing.T) {
	const handler = "e1000_intr <-__handle_irq_event_percpu\n"
	inTopHalf := func(call string) []string { return []string{handler, handler + "idle d.h1. " + call + "\n"} }
	again := "idle ..s1. sock_def_readable <-tcp_data_queue\nidle d.H1. irq_handler_entry: irq=10 name=eth0\n"
	for _, c := range []struct {
		fails   string
		changes []string
	}{
		{"", nil},
		{NoCopy, inTopHalf("skb_copy_bits <-e1000_intr")},
		{NoCopy, inTopHalf("memcpy_fromio <-e1000_intr")},
		{NoAck, inTopHalf("__tcp_send_ack <-e1000_intr")},
		{NoAck, []string{"__tcp_send_ack", "tcp_ack"}}, // none anywhere: nothing was seen
		{RingStill, []string{"irq=10 next=2 tail=0\nidle     ..s1.", "irq=10 next=3 tail=0\nidle     ..s1."}},
		{RingStill, []string{"irq=10 next=2 tail=0\nidle     ..s1.", "irq=10 next=2 tail=1\nidle     ..s1."}},
		{RingStill, []string{"napi=0x10 next=3 tail=1", "napi=0x10 next=2 tail=0"}},
		{RingStill, []string{"irq=10 next=2", "irq=10 next=(fault)"}},
		{PollInSoftirq, []string{"idle     ..s1.", "napi/eth0-1 .....", "softirq_entry: vec=3", "softirq_entry: vec=9"}},
		{Masked, []string{"idle     ..s1.  sock_def_readable <-tcp_data_queue\n", again}},
		{UserInProcess, []string{"receiver .....  skb_copy", "idle ..s1. softirq_entry: vec=3 [x]\nidle ..s1. skb_copy"}},
	} {
		for _, check := range checks(evidence(receive(modern, c.changes...))) {
			if check.Pass == (check.Name == c.fails) {
				t.Errorf("%q: %s passes: %v, measured %v", c.changes, check.Name, check.Pass, check.Measured)
			}
		}
	}
	for _, check := range checks(Evidence{}) {
		if check.Pass {
			t.Errorf("%s passes on nothing", check.Name)
		}
	}
}

func TestWhole(t *testing.T) {
	full := map[string]Evidence{armE1000: evidence(receive(modern)), armNE2000: evidence(receive(old))}
	if c := whole(full); !c.Pass {
		t.Errorf("%s fails: %s", c.Name, c.Detail)
	}
	lost := receive(modern)
	lost.Lost = 1
	for what, r := range map[string]Reception{"lost": lost, "copy to user memory": receive(modern, "skb_copy_datagram_iter", "schedule")} {
		if c := whole(map[string]Evidence{armVirtio: evidence(r)}); c.Pass || !strings.Contains(c.Detail, what) {
			t.Errorf("%s: passes %v: %s", what, c.Pass, c.Detail)
		}
	}
	if whole(nil).Pass {
		t.Error("passes on nothing")
	}
}

// Controls pass only if what they broke made its checks fail.
func TestControls(t *testing.T) {
	plain := evidence(receive(modern))
	threaded := evidence(receive(modern, "idle     ..s1.", "napi/eth0-1 .....", "softirq_entry: vec=3", "softirq_entry: vec=9"))
	for _, c := range controls(threaded, evidence(receive(old))) {
		if !c.Pass {
			t.Errorf("%s fails: %s", c.Name, c.Detail)
		}
	}
	for _, c := range controls(plain, plain) {
		if c.Pass {
			t.Errorf("%s passes where nothing was broken", c.Name)
		}
	}
}

func TestParametersAreChecked(t *testing.T) {
	trialtest.Parameters(t, Experiment(), map[string]bool{"segments=0": false, "segments=101": false, "bytes=299": false, "bytes=1401": false})
}

// The experiment as lbctl lab run tophalf --quick runs it, in a real guest.
func TestRun(t *testing.T) {
	outcome := trialtest.Quick(t, Experiment())
	if len(outcome.Figures) != 2 {
		t.Errorf("%d figures", len(outcome.Figures))
	}
}
