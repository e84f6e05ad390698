package advice_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"lbctl/rss"
	"lbctl/rss/advice"
	"lbctl/rss/replay"
	"lbctl/rss/setup"
)

// observed is one flow of so many packets on each entry.
func observed(table rss.Table, packets ...uint64) replay.Observed {
	o := replay.Observed{Queues: table.Queues()}
	for i, q := range table {
		o.Buckets = append(o.Buckets, replay.Bucket{Index: i, Queue: q, Load: replay.Load{Packets: packets[i], Bytes: 100, Flows: 1}})
	}
	return o
}

func TestTableCommands(t *testing.T) {
	for _, c := range []struct {
		table   rss.Table
		packets []uint64
		want    []string
	}{
		{rss.Table{0, 1}, []uint64{5, 5}, []string{"# nothing to do"}},
		{rss.Table{0, 1, 1, 1}, []uint64{5, 9, 7, 3}, []string{"ethtool -X eth7 equal 2"}},
		{rss.Table{0, 1, 1, 1}, []uint64{5, 5, 5, 5}, []string{"ethtool -X eth7 weight 2 2"}},
		{rss.Table{0, 1, 1, 1, 1}, []uint64{5, 1, 1, 5, 2}, []string{
			"# 5 entries over 2 queues, Linux 6.17 or later; ynl is in tools/net/ynl of its sources:",
			`ynl --family ethtool --do rss-set --json '{"header":{"dev-name":"eth7"},"indir":[0,1,1,1,0]}'`,
		}},
	} {
		p, err := advice.New(observed(c.table, c.packets...), advice.Request{Interface: "eth7", Measure: replay.Packets, Budget: advice.Unlimited})
		if err != nil || !slices.Equal(p.Commands, c.want) {
			t.Errorf("%v under %v: %q, %v, want %q", c.packets, c.table, p.Commands, err, c.want)
		}
		if simple := len(c.want) == 1; simple != (p.Weights == nil) {
			t.Errorf("%v under %v: weights %+v", c.packets, c.table, p.Weights)
		}
		if w := p.Weights; w != nil && (w.Command != "ethtool -X eth7 weight 3 2" || w.MaxMean != 1) {
			t.Errorf("weights %+v", w)
		}
	}
}

// Every table that ethtool can make is recognised, and the words found make it again.
func TestEthtoolTable(t *testing.T) {
	for _, words := range []string{"equal 1", "equal 3", "equal 4", "weight 1 2 3", "weight 0 5 1", "weight 8", "weight 1 0 0 1"} {
		plan, err := rss.ParseTablePlan(words)
		if err != nil {
			t.Fatal(err)
		}
		table, err := plan.Build(8, 4)
		if err != nil {
			t.Fatal(err)
		}
		again, ok := advice.EthtoolTable(table)
		if !ok {
			t.Errorf("%s: not recognised", words)
			continue
		}
		if made, err := again.Build(8, 4); err != nil || !slices.Equal(made, table) {
			t.Errorf("%s is %v, %v makes %v, %v", words, table, again, made, err)
		}
	}
	if plan, ok := advice.EthtoolTable(rss.Table{0, 1, 1, 0}); ok {
		t.Errorf("a table that ethtool cannot make: %v", plan)
	}
}

func TestSetupCommands(t *testing.T) {
	from := setup.Setup{Queues: 4}
	for assignments, want := range map[string][]string{
		"queues=8,table=256":                   {"ethtool -L eth7 combined 8", "# a table of 256 entries: a NIC that has one of this size, or a driver option"},
		"key=symmetric,udp4=sd,udp6=none":      {"ethtool -X eth7 hkey " + strings.Repeat("6d:5a:", 19) + "6d:5a", "ethtool -N eth7 rx-flow-hash udp4 sd", `ethtool -N eth7 rx-flow-hash udp6 ""`},
		"transform=symmetric-xor,function=xor": {"ethtool -X eth7 hfunc xor", "ethtool -X eth7 xfrm symmetric-xor"},
		"inner=vxlan":                          {"# inner headers of vxlan: by the NIC's firmware or flow rules"},
		"queues=4":                             nil,
	} {
		to, err := from.With(assignments)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := advice.SetupCommands("eth7", from, to); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", assignments, got, err, want)
		}
	}
	// The driver of ENA shows and takes the key with its bytes in the opposite order.
	ena := setup.Setup{Profile: "ena", Queues: 4}
	to, _ := ena.With("key=ms")
	from, _ = ena.With("key=symmetric")
	if got, err := advice.SetupCommands("eth7", from, to); err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "ethtool -X eth7 hkey 6d:5a:56:da:") {
		t.Errorf("key of ena: %q, %v", got, err)
	}
}

func TestPlanWithinBudget(t *testing.T) {
	o := observed(rss.Table{0, 0, 0, 1}, 4, 4, 4, 0)
	o.Unhashed = replay.Load{Packets: 4}
	p, err := advice.New(o, advice.Request{Measure: replay.Packets, Budget: 1})
	if err != nil {
		t.Fatal(err)
	}
	if p.Now.MaxMean != 2 || p.After.MaxMean != 1.5 || *p.Budget != 1 || p.Moved != (advice.Moved{Entries: 1, Flows: 1, FlowShare: 0.25, LoadShare: 0.25}) {
		t.Errorf("one flow moved: %+v", p)
	}
	if last := p.Steps[len(p.Steps)-1]; last.MaxMean != 1.5 || p.Steps[0].MaxMean != 2 {
		t.Errorf("steps %+v", p.Steps)
	}
	if _, err := advice.New(observed(rss.Table{0, 1}, 0, 0), advice.Request{Measure: replay.Packets}); !errors.Is(err, advice.ErrNoLoad) {
		t.Errorf("no packets: %v", err)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		table   rss.Table
		packets []uint64
		budget  uint64
		kind    string
		text    string
	}{
		{rss.Table{0, 0, 1}, []uint64{5, 3, 0}, advice.Unlimited, "table", "Set the planned table: the busiest queue has 2.00 of the mean, then 1.25; flows that move: 1 (33.3 %)."},
		{rss.Table{0, 1}, []uint64{21, 20}, advice.Unlimited, "even", "Nothing to do: the load is even, the busiest queue has 1.02 of the mean."},
		{rss.Table{0, 0, 1}, []uint64{5, 3, 0}, 0, "budget", "Nothing to do within the budget of 0 flows: the busiest queue has 2.00 of the mean."},
		{rss.Table{0, 1}, []uint64{9, 1}, advice.Unlimited, "none", "No table helps: the busiest queue has 1.80 of the mean; see lbctl rss replay for the cause."},
	} {
		p, err := advice.New(observed(c.table, c.packets...), advice.Request{Measure: replay.Packets, Budget: c.budget})
		if err != nil || p.Kind != c.kind || p.Text != c.text {
			t.Errorf("%v under %v: %+v, %v", c.packets, c.table, p.Verdict, err)
		}
	}
}

func TestParseBudget(t *testing.T) {
	o := observed(make(rss.Table, 60), make([]uint64, 60)...)
	for s, want := range map[string]uint64{"0": 0, "3": 3, "10%": 6, "0%": 0, "100%": math.MaxUint64} {
		if got, err := advice.ParseBudget(s, o); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", s, got, err, want)
		}
	}
	for s, want := range map[string]string{"101%": `"101%": want 0% to 100%`, "some": `"some": want a number of flows, or a percentage`, "": `"": want a number of flows, or a percentage`} {
		if _, err := advice.ParseBudget(s, o); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", s, err, want)
		}
	}
}
