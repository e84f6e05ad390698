package handshake

import (
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/rss/packet"
	"lbctl/testbed/capture"
	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The experiment as lbctl lab run handshake runs it, on real sockets: nothing in it has noise.
func TestHandshake(t *testing.T) {
	if out := trialtest.Quick(t, Experiment()); !out.Result.Pass {
		t.Error("want all passed")
	}
}

var (
	start    = time.Unix(1000, 0)
	clientAt = netip.MustParseAddrPort("10.8.0.1:5000")
	serverAt = netip.MustParseAddrPort("10.8.0.2:80")
)

// made is a call that begins after some milliseconds and takes one.
func made(by, name string, ms int) Taken {
	at := time.Duration(ms) * time.Millisecond
	return Taken{By: by, Call: Call{Name: name, Began: at, Ended: at + time.Millisecond, BeganAt: start.Add(at), EndedAt: start.Add(at + time.Millisecond)}}
}

// plain is the evidence of a handshake as it should be.
func plain() Evidence {
	segment := func(us int, from, to netip.AddrPort, syn, ack bool) capture.Segment {
		return capture.Segment{Time: start.Add(time.Duration(us) * time.Microsecond), SYN: syn, ACK: ack, Flow: packet.Flow{Source: from, Destination: to, Protocol: packet.TCP}}
	}
	state := func(us int, side, to, thread string, softirq bool) State {
		return State{Side: side, To: to, Time: time.Duration(us) * time.Microsecond, Thread: thread, Softirq: softirq}
	}
	return Evidence{
		Scenario: blocking, Family: "IPv4", Server: serverAt,
		Calls: []Taken{made(server, "listen", 10), made(client, "connect", 20), made(server, "accept", 30)},
		Segments: []capture.Segment{
			segment(20_100, clientAt, serverAt, true, false), segment(20_200, serverAt, clientAt, true, true), segment(20_300, clientAt, serverAt, false, true),
		},
		States: []State{
			state(10_100, server, "LISTEN", threadOf(server), false), state(20_050, client, "SYN_SENT", threadOf(client), false),
			state(20_250, client, "ESTABLISHED", threadOf(client), true), state(20_350, server, "ESTABLISHED", threadOf(client), true),
		},
	}
}

// TestChecksFail: each change of a good handshake fails the checks that are named, and no other.
func TestChecksFail(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Evidence)
		fail   []string
	}{
		"as it should be": {func(*Evidence) {}, nil},
		"SYN after the return": {func(e *Evidence) {
			e.Segments[0].Time = start.Add(25 * time.Millisecond)
		}, []string{SYNWithinConnect}},
		"SYN at listen": {func(e *Evidence) {
			early := e.Segments[0]
			early.Time = start.Add(10_500 * time.Microsecond)
			e.Segments = append([]capture.Segment{early}, e.Segments...)
		}, []string{SYNWithinConnect, SilentOtherwise}},
		"ACK at accept": {func(e *Evidence) {
			e.Segments[2].Time = start.Add(30_500 * time.Microsecond)
		}, []string{SilentOtherwise, AcceptDoesNothing}},
		"established at accept": {func(e *Evidence) {
			e.States[3].Time = 30_500 * time.Microsecond
		}, []string{EstablishedBefore, AcceptDoesNothing}},
		"never established": {func(e *Evidence) { e.States = e.States[:3] }, []string{EstablishedBefore}},
		"never called": {func(e *Evidence) { e.Calls = e.Calls[:1] }, []string{
			SYNWithinConnect, SilentOtherwise, EstablishedBefore, AcceptDoesNothing}},
	} {
		e := plain()
		test.change(&e)
		want := map[string]bool{}
		for _, n := range test.fail {
			want[n] = true
		}
		for _, c := range Checks([]Evidence{e}) {
			if c.Pass == want[c.Name] {
				t.Errorf("%s: %s: pass %v: %s", name, c.Name, c.Pass, c.Detail)
			}
		}
	}
}

// TestControlsNotice: a control whose scenario went like a plain handshake fails.
func TestControlsNotice(t *testing.T) {
	var all []Evidence
	for _, scenario := range []string{fastOpen, noListener, deferAccept, fullBacklog} {
		e := plain()
		e.Scenario = scenario
		all = append(all, e)
	}
	for _, c := range Controls(all) {
		if c.Pass {
			t.Errorf("%s passed: %s", c.Name, c.Detail)
		}
	}
}

func TestStates(t *testing.T) {
	record := func(context, text string) trace.Record {
		return trace.Record{Task: "x", Context: context, Time: time.Second, Name: "inet_sock_set_state", Text: text}
	}
	got := states([]trace.Record{
		record(".....", "family=AF_INET sport=0 dport=80 oldstate=TCP_CLOSE newstate=TCP_SYN_SENT"),
		record("..s2.", "family=AF_INET sport=80 dport=5000 oldstate=TCP_SYN_RECV newstate=TCP_ESTABLISHED"),
		record("..s2.", "family=AF_INET sport=81 dport=5000 oldstate=TCP_SYN_RECV newstate=TCP_ESTABLISHED"),
	}, 80)
	want := []State{
		{Side: client, From: "CLOSE", To: "SYN_SENT", Time: time.Second, Thread: "x", Port: "0"},
		{Side: server, From: "SYN_RECV", To: "ESTABLISHED", Time: time.Second, Thread: "x", Softirq: true, Port: "5000"},
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("states: %+v", got)
	}
}

// TestReport: a made-up handshake is drawn and told.
func TestReport(t *testing.T) {
	var all []Evidence
	for _, scenario := range []string{blocking, fastOpen, deferAccept} {
		e := plain()
		e.Scenario = scenario
		all = append(all, e)
	}
	if drawn, err := figures(all); err != nil || len(drawn) != 3 {
		t.Errorf("%d figures, %v", len(drawn), err)
	}
	rows := callTable(all[0]).Rows
	if len(rows) != 3 || rows[1][3] != "SYN (100), SYN, ACK (200), ACK (300)" {
		t.Errorf("calls: %v", rows)
	}
	if got := scenarioTable(all).Rows[0][2:5]; got[0] != "connect" || got[1] != "connect" || got[2] != 0 {
		t.Errorf("scenarios: %v", got)
	}
}
