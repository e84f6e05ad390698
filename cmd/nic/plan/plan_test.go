package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
	"lbctl/cmd/nic/nictest"
	"lbctl/cmd/nic/replay"
	"lbctl/rss"
	"lbctl/rss/advice"
	rssreplay "lbctl/rss/replay"
	"lbctl/testbed/report"
)

func TestMain(m *testing.M) { nictest.Main(m) }

// planOf is what lbctl rss plan prints.
func planOf(t *testing.T, w *clitest.World, args ...string) (p advice.Plan) {
	t.Helper()
	text := w.OK(append([]string{"rss", "plan", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// A replay under the planned table has the load and the moved flows that the plan predicts.
func TestRSSPlanComesTrue(t *testing.T) {
	w := nictest.New(t, Command, replay.Command)
	file := w.Write("c.pcap", nictest.Capture(60))
	for _, budget := range []string{"100%", "10%", "3", "0"} {
		p := planOf(t, w, file, "--budget", budget)
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var r rssreplay.Report
		text := w.OK("rss", "replay", file, "-o", "json", "--compare", "fill=@"+w.Write("plan.json", string(b)))
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		then := r.Compare[0]
		if then.Imbalance.Packets.MaxMean != p.After.MaxMean || r.Imbalance.Packets.MaxMean != p.Now.MaxMean {
			t.Errorf("budget %s: predicted %v from %v, came %v from %v", budget, p.After.MaxMean, p.Now.MaxMean, then.Imbalance.Packets.MaxMean, r.Imbalance.Packets.MaxMean)
		}
		if then.Moved.Flows != p.Moved.Flows {
			t.Errorf("budget %s: predicted %d flows to move, %d did", budget, p.Moved.Flows, then.Moved.Flows)
		}
		if most := map[string]uint64{"100%": 60, "10%": 6, "3": 3, "0": 0}[budget]; p.Moved.Flows > most {
			t.Errorf("budget %s: %d flows move", budget, p.Moved.Flows)
		}
		if (budget == "0") != (p.After.MaxMean == p.Now.MaxMean) {
			t.Errorf("budget %s: from %v to %v", budget, p.Now.MaxMean, p.After.MaxMean)
		}
	}
}

// A plan of buckets is the plan of the capture that they came from.
func TestRSSPlanOfBuckets(t *testing.T) {
	w := nictest.New(t, Command, replay.Command)
	file := w.Write("c.pcap", nictest.Capture(60))
	buckets := w.Write("buckets.json", w.OK("rss", "replay", file, "--queues", "6", "-o", "json"))
	a, b := planOf(t, w, file, "--queues", "6", "--budget", "9"), planOf(t, w, "--buckets", buckets, "--budget", "9")
	if !slices.Equal(a.Table, b.Table) || a.After.MaxMean != b.After.MaxMean || a.Moved != b.Moved {
		t.Errorf("of the capture %+v, of its buckets %+v", a.After, b.After)
	}
	if p := planOf(t, w, "--buckets", buckets, "--queues", "8"); p.Queues != 8 || p.After.MaxMean >= 1.5 {
		t.Errorf("over 8 queues: %+v", p.After)
	}
}

func TestRSSPlanWhatIf(t *testing.T) {
	w := nictest.New(t, Command, replay.Command)
	p := planOf(t, w, w.Write("c.pcap", nictest.Capture(60)), "--interface", "eth7", "--queues", "4",
		"--what-if", "queues=8,table=256", "--what-if", "key=symmetric,udp4=sd,udp6=none", "--what-if", "transform=symmetric-xor,function=xor")
	want := [][]string{
		{"ethtool -L eth7 combined 8", "# a table of 256 entries: a NIC that has one of this size, or a driver option"},
		{"ethtool -X eth7 hkey " + strings.Repeat("6d:5a:", 19) + "6d:5a", "ethtool -N eth7 rx-flow-hash udp4 sd", `ethtool -N eth7 rx-flow-hash udp6 ""`},
		{"ethtool -X eth7 hfunc xor", "ethtool -X eth7 xfrm symmetric-xor"},
	}
	for i, o := range p.WhatIf {
		if !slices.Equal(o.Commands, want[i]) {
			t.Errorf("%s: %q, want %q", o.Name, o.Commands, want[i])
		}
		if o.Planned > o.MaxMean || o.Moved.Flows == 0 || len(o.Table) == 0 || len(o.TableCommands) == 0 {
			t.Errorf("%s: %+v", o.Name, o)
		}
	}
	if len(p.WhatIf) != 3 || len(p.WhatIf[0].Table) != 256 {
		t.Errorf("%d answers", len(p.WhatIf))
	}
}

// --interface plans for the settings of that NIC; one of another machine is only named, and must be described.
func TestRSSPlanOfInterface(t *testing.T) {
	card := nictest.NewCard()
	w := nictest.New(t, Command)
	w.NICs = card.Interfaces()
	file := w.Write("c.pcap", nictest.Capture(60))
	if p := planOf(t, w, file, "--interface", "eth0"); len(p.Table) != 8 || p.Queues != 4 {
		t.Errorf("eth0: table of %d over %d queues", len(p.Table), p.Queues)
	}
	if p := planOf(t, w, file, "--interface", "eth0", "--queues", "2"); len(p.Table) != 8 || p.Queues != 2 {
		t.Errorf("eth0 with 2 queues: table of %d over %d queues", len(p.Table), p.Queues)
	}
	if p := planOf(t, w, file, "--interface", "eth7", "--table", "64"); len(p.Table) != 64 {
		t.Errorf("a described NIC: table of %d", len(p.Table))
	}
	if code, _, errs := w.Fed("", "rss", "plan", file, "--interface", "eth7"); code != cli.ExitNotFound || !strings.Contains(errs, "no such interface") {
		t.Errorf("a NIC that is not there: exit %d, %s", code, errs)
	}
}

// --apply makes the NIC's table the planned one, or says why not.
func TestRSSPlanApply(t *testing.T) {
	card := nictest.NewCard()
	w := nictest.New(t, Command)
	w.NICs = card.Interfaces()
	file := w.Write("c.pcap", nictest.Capture(60))
	card.Settings.Table = rss.Table{0, 0, 0, 0, 0, 0, 0, 1}
	before := slices.Clone(card.Settings.Table)
	p := planOf(t, w, file, "--interface", "eth0", "--apply")
	if !p.Applied || !slices.Equal(card.Settings.Table, p.Table) || slices.Equal(before, p.Table) {
		t.Errorf("planned %v, set %v", p.Table, card.Settings.Table)
	}
	if text := w.OK("rss", "plan", file, "--interface", "eth0", "--budget", "0", "--apply"); !strings.Contains(text, "The planned table is set") {
		t.Errorf("as text:\n%s", text)
	}
	card.Stubborn, card.Settings.Table = true, before
	for want, args := range map[string][]string{
		"--apply: want --interface":                          {"--apply"},
		"--apply: indirection table of 64 entries: eth0":     {"--apply", "--interface", "eth0", "--table", "64"},
		"the driver accepted the table, but reports another": {"--apply", "--interface", "eth0"},
		"read rss of eth7: no such interface":                {"--apply", "--interface", "eth7", "--queues", "4"},
	} {
		if code, _, errs := w.Fed("", append([]string{"rss", "plan", file}, args...)...); code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%v: exit %d, %s; want %q", args, code, errs, want)
		}
	}
}

func TestRSSPlanTable(t *testing.T) {
	w := nictest.New(t, Command, replay.Command)
	text := w.OK("rss", "plan", w.Write("c.pcap", nictest.Capture(60)), "--budget", "10%", "--what-if", "queues=8")
	for _, want := range []string{"FLOWS MOVED (6 may)", "planned        ", "by ethtool -X  ", "ENTRIES  FLOWS MOVED  MAX/MEAN", "QUEUE  PACKETS NOW  PLANNED",
		"ynl --family ethtool", "# or, without netlink:\nethtool -X eth0 weight", "What if queues=8: max/mean", "ethtool -L eth0 combined 8"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// --out has pictures of before and after, with the loads that the plan says, and the verdict is its first line.
func TestRSSPlanOut(t *testing.T) {
	w := nictest.New(t, Command, replay.Command)
	file := w.Write("c.pcap", nictest.Capture(60))
	if text := w.OK("rss", "plan", file, "--out", w.Path("out")); !strings.HasPrefix(text, "Set the planned table: the busiest queue has ") {
		t.Errorf("first line of\n%s", text)
	}
	r, figures, err := report.Load(w.Path("out"))
	if err != nil || !r.Pass || len(r.Checks) != 2 {
		t.Fatalf("%v, pass %v, %+v", err, r.Pass, r.Checks)
	}
	p := planOf(t, w, file)
	for q, row := range r.Tables[1].Rows {
		if got := []any{row[1], row[2]}; fmt.Sprint(got) != fmt.Sprint([]any{p.Now.Loads[q], p.After.Loads[q]}) {
			t.Errorf("queue %d: %v, want %d and %d", q, got, p.Now.Loads[q], p.After.Loads[q])
		}
		for _, load := range []uint64{p.Now.Loads[q], p.After.Loads[q]} { // the numbers over the bars
			if !strings.Contains(string(figures[0].SVG), ">"+fmt.Sprint(load)+"<") {
				t.Errorf("queue %d: %d is not in the picture", q, load)
			}
		}
	}
	var names []string
	for _, f := range figures {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{"load", "flows", "steps"}) {
		t.Errorf("figures %v", names)
	}
	// What says nothing of flows has no picture of them.
	w.Write("b.json", `{"buckets":[{"index":0,"queue":0,"packets":9},{"index":1,"queue":0,"packets":5},{"index":2,"queue":1,"packets":1}]}`)
	w.OK("rss", "plan", "--buckets", w.Path("b.json"), "--out", w.Path("b"))
	if _, figures, err := report.Load(w.Path("b")); err != nil || slices.ContainsFunc(figures, func(f report.Figure) bool { return f.Name == "flows" }) {
		t.Errorf("%v, %d figures", err, len(figures))
	}
}

// A plan that loses load, is worse or moves too much is a report that does not pass.
func TestChecks(t *testing.T) {
	for want, spoil := range map[string]func(*advice.Plan){
		"":              func(*advice.Plan) {},
		"load-kept":     func(p *advice.Plan) { p.After.Loads = []uint64{5, 4} },
		"not-worse":     func(p *advice.Plan) { p.After.MaxMean = 1.81 },
		"within-budget": func(p *advice.Plan) { p.Moved.Flows = 4 },
	} {
		p := &advice.Plan{Budget: new(uint64(3)), Moved: advice.Moved{Flows: 3},
			Now: advice.State{MaxMean: 1.8, Loads: []uint64{9, 1}}, After: advice.State{MaxMean: 1.8, Loads: []uint64{5, 5}}}
		spoil(p)
		failed := ""
		for _, c := range checks(p) {
			if !c.Pass {
				failed += c.Name
			}
		}
		if failed != want {
			t.Errorf("%s: failed %q", want, failed)
		}
	}
}

func TestRSSPlanBadInput(t *testing.T) {
	w := nictest.New(t, Command, replay.Command)
	w.Write("c.pcap", nictest.Capture(3))
	w.Write("none.json", `{"buckets":[]}`)
	w.Write("zero.json", `{"buckets":[{"index":0}]}`)
	w.Write("torn.json", `{"buckets":[{"index":0}`)
	help := "see lbctl rss plan --help"
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"", 2, "missing FILE or --buckets", help},
		{"DIR/c.pcap --buckets DIR/none.json", 2, "FILE and --buckets: want one of them", help},
		{"DIR/c.pcap --budget 101%", 2, `--budget: "101%": want 0% to 100%`, help},
		{"DIR/c.pcap --budget some", 2, `--budget: "some": want a number of flows, or a percentage`, help},
		{"DIR/c.pcap --what-if queues=0", 2, "--what-if: queues=0: queues: 0: want 1 to 65536", help},
		{"--buckets DIR/zero.json --what-if queues=2", 2, "--what-if: --buckets has no flows: name a capture", help},
		{"--buckets DIR/zero.json", 2, "plan indirection table: nothing came to any entry", "observe some traffic"},
		{"--buckets DIR/none.json", 2, `DIR/none.json: read buckets: no "buckets": want [{"index":0,"queue":0,"packets":1,"bytes":60,"flows":1}, ...]`, "give what lbctl rss replay -o json prints"},
		{"--buckets DIR/torn.json", 2, "DIR/torn.json: read buckets: unexpected EOF", "give what lbctl rss replay -o json prints"},
		{"--buckets DIR/gone.json", 3, "open DIR/gone.json: no such file or directory", "check the name"},
		{"--buckets DIR/zero.json --queues 70000", 2, "--queues: 70000: want 1 to 65536", help},
	} {
		w.Refused("rss plan "+c.line, c.code, c.what, c.hint)
	}
}
