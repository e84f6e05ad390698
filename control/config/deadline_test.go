package config_test

import (
	"errors"
	"testing"
	"time"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/lb"
)

const draining = service + `    replicas:
      - {address: 10.1.0.1:80}
      - {address: 10.1.0.2:80, state: draining, drain_until: 2030-01-31T12:00:00Z}
      - {address: 10.1.0.3:80, state: draining, drain_until: 2030-01-31T11:00:00Z}
      - {address: 10.1.0.4:80, state: draining}
`

func TestAt(t *testing.T) {
	intent, err := resolve(draining)
	if err != nil {
		t.Fatal(err)
	}
	first := time.Date(2030, 1, 31, 11, 0, 0, 0, time.UTC)
	if next, found := intent.NextDeadline(); !found || next != first {
		t.Errorf("next deadline %v, %v; want %v", next, found, first)
	}
	for _, c := range []struct {
		at    time.Time
		down  int
		next  time.Time
		found bool
	}{
		{first.Add(-time.Nanosecond), 0, first, true},
		{first, 1, first.Add(time.Hour), true},
		{first.Add(time.Hour), 2, time.Time{}, false},
	} {
		later := intent.At(c.at)
		down := 0
		for _, r := range later.Services[0].Replicas {
			if r.State == lb.Down {
				down++
			}
		}
		if next, found := later.NextDeadline(); down != c.down || found != c.found || found && next != c.next {
			t.Errorf("at %v: %d down, next deadline %v %v; want %d, %v", c.at, down, next, found, c.down, c.next)
		}
		if err := later.Validate(); err != nil {
			t.Errorf("at %v: %v", c.at, err)
		}
	}
	if again, err := resolve(draining); err != nil || !again.Equal(intent) {
		t.Errorf("At has changed the intent that it was asked about: %+v, %v", intent, err)
	}
}

// TestWithReplica: the table of modulo follows the number of active replicas, and a deadline
// goes with its replica.
func TestWithReplica(t *testing.T) {
	intent, err := resolve(draining)
	if err != nil {
		t.Fatal(err)
	}
	s := intent.Services[0]
	if s.TableSize != 1 || len(s.Deadlines) != 2 {
		t.Fatalf("table of %d slots, deadlines %v", s.TableSize, s.Deadlines)
	}
	active, err := config.ResolveReplica(api.Replica{Address: "10.1.0.2:80"})
	if err != nil {
		t.Fatal(err)
	}
	after := s.WithReplica(active)
	if after.TableSize != 2 || len(after.Deadlines) != 1 || len(after.Replicas) != 4 || after.Replicas[1].State != lb.Active {
		t.Errorf("made active: %+v", after)
	}
	less, had := s.WithoutReplica(s.Replicas[2].Address)
	if !had || len(less.Replicas) != 3 || len(less.Deadlines) != 1 || less.TableSize != 1 {
		t.Errorf("removed: %+v, %v", less, had)
	}
	if _, had := less.WithoutReplica(s.Replicas[2].Address); had {
		t.Error("it is still there")
	}
	if len(s.Deadlines) != 2 || s.TableSize != 1 || len(s.Replicas) != 4 {
		t.Errorf("the service itself has changed: %+v", s)
	}
}

func TestIdleIsWrittenShort(t *testing.T) {
	for text, want := range map[string]api.Duration{"90s": "1m30s", "10m": "10m", "600s": "10m", "1h": "1h", "1h0m10s": "1h0m10s", "8s": "8s", "24h": "24h", "90m": "1h30m"} {
		intent, err := resolve(service + "    idle: " + text + "\n" + replicas)
		if err != nil {
			t.Fatal(err)
		}
		if got := intent.Wire().Services[0].Idle; got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
	}
}

func TestResolveProbe(t *testing.T) {
	flow := api.Probe{Source: "198.51.100.7:40000", Destination: "192.0.2.1:80"}
	flags := func(names ...string) api.Probe { p := flow; p.Flags = names; return p }
	for _, c := range []struct {
		name  string
		in    api.Probe
		syn   bool
		frame int
		field string
	}{
		{"no flag", flow, false, 0, ""},
		{"ack", flags("ack"), false, 0, ""},
		{"syn", flags("syn"), true, 0, ""},
		{"syn and ack", flags("syn", "ack"), false, 54, ""},
		{"rst", flags("rst"), false, 54, ""},
		{"twice", flags("syn", "syn"), true, 0, ""},
		{"unknown", flags("syn", "ece"), false, 0, "flags[1]"},
		{"flags of udp", api.Probe{Source: flow.Source, Destination: flow.Destination, Protocol: "udp", Flags: []string{"syn"}}, false, 0, "flags"},
		{"frame", api.Probe{Frame: make([]byte, 60)}, false, 60, ""},
		{"empty frame", api.Probe{Frame: []byte{}}, false, 0, ""},
		{"frame and flow", api.Probe{Frame: make([]byte, 60), Source: flow.Source}, false, 0, "frame"},
		{"long frame", api.Probe{Frame: make([]byte, 65558)}, false, 0, "frame"},
		{"nothing", api.Probe{}, false, 0, "source"},
		{"two families", api.Probe{Source: flow.Source, Destination: "[2001:db8::1]:80"}, false, 0, "source"},
	} {
		p, err := config.ResolveProbe(c.in)
		var wrong *config.Error
		switch {
		case c.field != "":
			if !errors.As(err, &wrong) || wrong.Problems[0].Field != c.field || wrong.Hint() == "" {
				t.Errorf("%s: error %v, want one about %s", c.name, err, c.field)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case p.SYN != c.syn || len(p.Frame) != c.frame || (c.in.Frame != nil) && p.Frame == nil:
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}
