// Package handshake is the experiment that shows which system call begins TCP's three-way handshake. A server and a
// client make their calls one by one, with a pause after each. A capture on the client's link has every packet, and the
// kernel's tracepoint for changes of a socket's state every state: so each packet and each state belongs to one call.
package handshake

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
	"lbctl/testbed/trace"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "handshake", Problem: "8",
		Question: "Which one of the system calls socket, listen, connect and accept begins the three-way TCP handshake?",
		Claim:    "connect.",
		Method:   "Two processes in network namespaces of their own make the calls one at a time, and wait after each until nothing more happens. Packets are captured on the link between them; the changes of the sockets' states are those of the kernel's tracepoint sock:inet_sock_set_state; each call's beginning and end is read from the clocks by which packets and states are stamped. All is done over IPv4 and IPv6, by a client that waits in its calls and by one that does not. The link is a veth, which delivers at once: over a real network a packet may come after the call that it belongs to has returned.",
		Needs:    experiment.Needs{Time: 6 * time.Second, Quick: 3 * time.Second},
		Rig:      "veth",
		Checks: []experiment.Statement{
			{Name: SYNWithinConnect, Text: "the SYN leaves between the beginning and the return of connect, also of one that does not wait"},
			{Name: SilentOtherwise, Text: "no packet belongs to socket, bind, listen or accept"},
			{Name: EstablishedBefore, Text: "the server's socket is ESTABLISHED before accept is called"},
			{Name: AcceptDoesNothing, Text: "accept sends no packet and changes no state: it hands a finished connection over"},
		},
		Controls: []experiment.Statement{
			{Name: FastOpen, Text: "the client asks for TCP Fast Open: the SYN then waits for the first write and takes its data along"},
			{Name: NoListener, Text: "nobody listens on the port"},
			{Name: DeferredAccept, Text: "the server asks for TCP_DEFER_ACCEPT: a connection without data is none yet"},
			{Name: FullBacklog, Text: "a second client connects while the server's queue is full"},
		},
		Predictions: []experiment.Prediction{
			{Name: "established-before-accept", Kind: experiment.YesNo, Question: "The server has called listen, and not yet accept. Can a client's connection be established, at both ends?"},
			{Name: "packets-of-connect", Unit: "packets", Question: "How many packets go over the wire between the call of connect and the next call of either process?"},
			{Name: "packets-of-accept", Unit: "packets", Question: "A client has connected. How many packets does the server's call of accept send or wait for?"},
			{Name: "syn-before-return", Kind: experiment.YesNo, Question: "A non-blocking connect returns at once, with EINPROGRESS. Has the SYN left by then?"},
		},
		Design: func() experiment.Design { return &design{} },
	}
}

// design implements experiment.Design.
type design struct {
	pause time.Duration

	link    netns.Link
	tracer  *trace.Instance
	callers map[string]*helper.Process
	all     []Evidence
}

// Parameters implements experiment.Design.
func (d *design) Parameters(p *experiment.Parameters) {
	p.Duration(&d.pause, "pause", experiment.Durations{Low: time.Millisecond, High: 10 * time.Second, Default: 50 * time.Millisecond, Quick: 20 * time.Millisecond, Full: 500 * time.Millisecond},
		"how long to wait after each system call")
}

// The two hosts, with one address of each family.
var (
	clientAddresses = []netip.Prefix{netip.MustParsePrefix("10.8.0.1/24"), netip.MustParsePrefix("fd08::1/64")}
	serverAddresses = []netip.Prefix{netip.MustParsePrefix("10.8.0.2/24"), netip.MustParsePrefix("fd08::2/64")}
)

// Arms implements experiment.Design.
func (d *design) Arms(ctx context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	r.XDP = "not used"
	if err := d.build(r); err != nil {
		return nil, err
	}
	// The tracepoint sees the sockets of the whole machine: ours are those with our ports, one for each scenario.
	first := 20_000 + os.Getpid()%20_000
	port := first
	for _, s := range scenarios() {
		for _, a := range serverAddresses[:s.families] {
			at := netip.AddrPortFrom(a.Addr(), uint16(port))
			port++
			arms = append(arms, experiment.Arm{Name: s.name + ", " + family(at), Steps: len(s.steps), Run: func(ctx context.Context) error {
				e, err := d.act(ctx, s, at)
				d.all = append(d.all, e)
				return err
			}})
		}
	}
	return arms, d.tracer.Event("sock:inet_sock_set_state", fmt.Sprintf("sport >= %d && sport < %d || dport >= %d && dport < %d", first, port, first, port))
}

// build makes the hosts, the link, the tracer and the processes.
func (d *design) build(r *experiment.Run) (err error) {
	hosts := map[string]*netns.Namespace{}
	for _, name := range []string{client, server} {
		if hosts[name], err = r.Bed.Namespace(name); err != nil {
			return err
		}
		if err := hosts[name].AllowIPv6(); err != nil {
			return err
		}
		// Fast Open for clients and servers, without a cookie of an earlier connection (ip-sysctl.rst).
		if err := hosts[name].Sysctl("net/ipv4/tcp_fastopen", fmt.Sprint(0x1|0x2|0x4|0x200)); err != nil {
			return err
		}
	}
	var far netns.Link
	d.link, far, err = netns.Veth(netns.End{Namespace: hosts[client], Name: client}, netns.End{Namespace: hosts[server], Name: server}, 0)
	if err != nil {
		return err
	}
	for i := range clientAddresses {
		if err := bed.Join(d.link, far, clientAddresses[i], serverAddresses[i]); err != nil {
			return err
		}
	}
	if d.tracer, err = r.Bed.Trace("handshake"); err != nil {
		return err
	}
	d.callers = map[string]*helper.Process{}
	for by, host := range map[string]*netns.Namespace{client: hosts[client], other: hosts[client], server: hosts[server]} {
		if d.callers[by], err = Helper().Start(r.Program, host, by, callerConfig{Thread: threadOf(by)}); err != nil {
			return err
		}
		r.Bed.OnClose(d.callers[by].End)
	}
	for _, p := range d.callers {
		if err := p.Await(helper.Ready); err != nil {
			return err
		}
	}
	return nil
}

// threadOf names the thread of a caller: at most 15 bytes (PR_SET_NAME).
func threadOf(by string) string {
	return map[string]string{client: "tcp-client", other: "tcp-client-2", server: "tcp-server"}[by]
}

// Conclude implements experiment.Design.
func (d *design) Conclude(r *experiment.Run) error {
	checks := Checks(d.all)
	r.Check(checks...)
	r.Control(Controls(d.all)...)
	answer(r, d.all)
	r.Table(claims(checks), callTable(of(d.all, blocking)[0]), scenarioTable(d.all))
	figures, err := figures(d.all)
	r.Figure(figures...)
	return err
}
