package wire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

// resolve parses and resolves a file.
func resolve(text string) (intent.Intent, error) {
	f, err := config.Parse("f.yaml", []byte(text))
	if err != nil {
		return intent.Intent{}, err
	}
	i, err := wire.Resolve(f.Config, intent.Default())
	return i, f.Locate(err)
}

// service is the start of a file with one service.
const service = "services:\n  - name: web\n    vip: 192.0.2.1:80\n"

const replicas = "    replicas: [{address: 10.1.0.1:80}, {address: 10.1.0.2:80}]\n"

const draining = service + `    replicas:
      - {address: 10.1.0.1:80}
      - {address: 10.1.0.2:80, state: draining, drain_until: 2030-01-31T12:00:00Z}
      - {address: 10.1.0.3:80, state: draining, drain_until: 2030-01-31T11:00:00Z}
      - {address: 10.1.0.4:80, state: draining}
`

func TestIdleIsWrittenShort(t *testing.T) {
	for text, want := range map[string]api.Duration{"90s": "1m30s", "10m": "10m", "600s": "10m", "1h": "1h", "1h0m10s": "1h0m10s", "8s": "8s", "24h": "24h", "90m": "1h30m"} {
		i, err := resolve(service + "    idle: " + text + "\n" + replicas)
		if err != nil {
			t.Fatal(err)
		}
		if got := wire.Config(i).Services[0].Idle; got != want {
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
		p, err := wire.ResolveProbe(c.in)
		var wrong *intent.Error
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

// TestChanges: what no step of a datapath shows, and nothing else.
func TestChanges(t *testing.T) {
	const attached = "interfaces: [{name: eth0}]\n" + draining
	old, err := resolve(attached)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, from, to string
		want           []api.FieldChange
	}{
		{"nothing", "", "", nil},
		{"a deadline", "2030-01-31T12", "2031-01-31T12", []api.FieldChange{
			{Field: "services[web].replicas[10.1.0.2:80].drain_until", Before: "2030-01-31T12:00:00Z", After: "2031-01-31T12:00:00Z"}}},
		{"no deadline any more", ", drain_until: 2030-01-31T11:00:00Z", "", []api.FieldChange{
			{Field: "services[web].replicas[10.1.0.3:80].drain_until", Before: "2030-01-31T11:00:00Z"}}},
		{"a first deadline", "10.1.0.4:80, state: draining", "10.1.0.4:80, state: draining, drain_until: 2030-02-01T00:00:00Z", []api.FieldChange{
			{Field: "services[web].replicas[10.1.0.4:80].drain_until", After: "2030-02-01T00:00:00Z"}}},
		{"a name", "name: web", "name: shop", []api.FieldChange{{Field: "services[web].name", Before: "web", After: "shop"}}},
		{"how an interface is attached", "name: eth0", "name: eth0, mode: native", []api.FieldChange{
			{Field: "interfaces[eth0].mode", Before: "auto", After: "native"}}},
		{"another interface is a step", "name: eth0", "name: eth1", nil},
		{"a state is a step", "10.1.0.1:80", "10.1.0.1:80, state: down", nil},
	} {
		next, err := resolve(strings.Replace(attached, c.from, c.to, 1))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, wire.Changes(old, next), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
