package handshake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lbctl/testbed/capture"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

func list(set map[string]bool) string {
	if len(set) == 0 {
		return "nothing"
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), "; ")
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// claims answers the question from the checks.
func claims(checks []report.Check) report.Table {
	return experiment.Claims(checks, experiment.Finding{
		Question: "Which system call begins the handshake?",
		Answer:   "connect: the SYN leaves before it returns. (Over this link, which delivers at once, the other two packets pass within connect as well. Over a real network a connect that does not wait returns before they do.) accept begins nothing and waits for nothing where a client has connected: the kernel has finished the handshake by itself.",
	})
}

// callTable says what each call of a scenario set off.
func callTable(e Evidence) report.Table {
	t := report.Table{
		Name:    "What each call set off: " + e.Scenario + ", " + e.Family,
		Columns: []string{"call", "by", "took, us", "packets, us after it began", "client's socket became", "server's socket became"},
	}
	for _, c := range e.Calls {
		var packets []string
		changed := map[string][]string{}
		for _, s := range e.segments(c) {
			packets = append(packets, fmt.Sprintf("%s (%.0f)", s.Flags(), micros(s.Time.Sub(c.BeganAt))))
		}
		for _, s := range e.states(c) {
			changed[s.Side] = append(changed[s.Side], s.To)
		}
		t.Rows = append(t.Rows, []any{c.Name, c.By, measured(micros(c.Ended - c.Began)), strings.Join(packets, ", "),
			strings.Join(changed[client], ", "), strings.Join(changed[server], ", ")})
	}
	return t
}

func measured(us float64) float64 { return float64(int(10*us)) / 10 }

// scenarioTable compares the scenarios.
func scenarioTable(all []Evidence) report.Table {
	t := report.Table{
		Name:    "When the SYN left and the connection was established, by scenario",
		Columns: []string{"scenario", "family", "SYN left at", "server ESTABLISHED at", "packets of accept", "connect returned"},
	}
	for _, e := range all {
		syn, established, accept, returned := map[string]bool{}, map[string]bool{}, 0, map[string]bool{}
		for _, c := range e.Calls {
			for _, s := range e.segments(c) {
				if s.SYN && !s.ACK {
					syn[c.Name] = true
				}
			}
			for _, s := range e.states(c) {
				if s.Side == server && s.To == "ESTABLISHED" {
					established[c.Name] = true
				}
			}
			if c.Name == "accept" {
				accept += len(e.segments(c))
			}
			if c.Name == "connect" {
				returned[result(c)] = true
			}
		}
		t.Rows = append(t.Rows, []any{e.Scenario, e.Family, list(syn), list(established), accept, list(returned)})
	}
	return t
}

func result(c Taken) string {
	if c.Error == "" {
		return "success"
	}
	return c.Error
}

// answer enters the headline, and what the predictions are held against.
func answer(r *experiment.Run, all []Evidence) {
	plain := of(all, blocking, nonblocking)
	syns, packets, accept, early := 0, 0, 0, 0
	var delays []time.Duration
	for _, e := range plain {
		for _, c := range e.named("connect") {
			if s := e.syn(c); s != nil {
				syns++
				early += experiment.One(e.Scenario == nonblocking)
				delays = append(delays, s.Time.Sub(c.BeganAt))
			}
			packets += len(e.segments(c))
		}
		for _, c := range e.named("accept") {
			accept += len(e.segments(c))
		}
	}
	before := establishedBefore(plain)
	longest := time.Duration(0)
	if len(delays) > 0 {
		longest = slices.Max(delays)
	}
	r.Headline("In %d of %d handshakes over IPv4 and IPv6 the SYN left within connect, at most %.0f us after its call; %v of %v connections were ESTABLISHED before the server called accept, which sent %d packets.",
		syns, len(plain), micros(longest), before.Measured, before.Expected, accept)
	n := float64(max(len(plain), 1))
	r.Quantity(
		report.Quantity{Name: "established-before-accept", Value: before.Pass},
		report.Quantity{Name: "packets-of-connect", Value: float64(packets) / n, Unit: "packets"},
		report.Quantity{Name: "packets-of-accept", Value: float64(accept) / n, Unit: "packets"},
		report.Quantity{Name: "syn-before-return", Value: early > 0 && early == len(of(all, nonblocking))},
	)
}

// figures draw the order of events: a handshake as it is, and one that waits for data.
func figures(all []Evidence) (drawn []report.Figure, err error) {
	for _, f := range []struct{ scenario, name, title, caption string }{
		{blocking, "order", "A handshake, call by call",
			"System calls of both processes from listen on, packets on the client's link, and states of both sockets, in their order; distances have no meaning. The whole handshake happens within connect. accept has nothing left to do."},
		{fastOpen, "fast-open", "With TCP Fast Open",
			"The client has asked for TCP Fast Open: connect only notes the address. The first write sends the SYN, with data. This is what syn-within-connect would look like if the textbook were wrong."},
		{deferAccept, "deferred", "With a deferred accept",
			"The server has asked for TCP_DEFER_ACCEPT: after connect only the client is ESTABLISHED. accept is called and waits until the client's first byte comes."},
	} {
		figure, err := report.Timeline(f.name, f.title, f.caption, report.Axis{Label: "order of events"}, tracks(of(all, f.scenario)[0])...)
		if err != nil {
			return nil, err
		}
		drawn = append(drawn, figure)
	}
	return drawn, nil
}

// event is a packet or a change of state, some time after its call began.
type event struct {
	after time.Duration
	track *report.Track
	label string
}

// tracks draw a scenario from listen on: each call has room for what it set off.
func tracks(e Evidence) []report.Track {
	calls := map[string]*report.Track{client: {Name: "client calls"}, server: {Name: "server calls"}}
	wire, states := &report.Track{Name: "packets"}, map[string]*report.Track{client: {Name: "client's socket"}, server: {Name: "server's socket"}}
	at := 0.0
	var waiting *Taken
	var since float64
	for _, c := range e.Calls {
		if c.Name == "socket" || c.Name == "bind" {
			continue
		}
		var events []event
		for _, s := range e.segments(c) {
			events = append(events, event{s.Time.Sub(c.BeganAt), wire, arrow(e, s)})
		}
		for _, s := range e.states(c) {
			events = append(events, event{s.Time - c.Began, states[s.Side], s.To})
		}
		slices.SortStableFunc(events, func(a, b event) int { return int(a.after - b.after) })
		begin := at
		for i, ev := range events {
			at++
			if i > 0 && events[i-1].track == ev.track {
				at += 0.5 // for their labels
			}
			ev.track.Moments = append(ev.track.Moments, report.Moment{At: at - 0.3, Label: ev.label})
		}
		at += 0.6
		if next := e.at(func(other Taken) bool { return other.Began < c.Ended }); *next != c {
			waiting, since = &c, begin // it returns during a later call
			continue
		}
		calls[c.By].Spans = append(calls[c.By].Spans, report.Span{From: begin + 0.05, To: at - 0.05, Label: c.Name})
	}
	if waiting != nil {
		calls[waiting.By].Spans = append(calls[waiting.By].Spans, report.Span{From: since + 0.05, To: at - 0.05, Label: waiting.Name + " waits", Idle: true})
	}
	return []report.Track{*calls[client], *states[client], *wire, *states[server], *calls[server]}
}

func arrow(e Evidence, s capture.Segment) string {
	if s.Flow.Source == e.Server {
		return "← " + s.Flags()
	}
	return s.Flags() + " →"
}
