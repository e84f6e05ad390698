package rss

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTablePlanBuild(t *testing.T) {
	for _, c := range []struct {
		plan         string
		size, queues int
		want         Table // nil: an error
	}{
		{"default", 6, 4, Table{0, 1, 2, 3, 0, 1}},
		{"equal 2", 5, 4, Table{0, 1, 0, 1, 0}},
		{"start 1 equal 2", 5, 4, Table{1, 2, 1, 2, 1}},
		{"equal 2 start 2", 5, 4, Table{2, 3, 2, 3, 2}},
		{"equal 8", 2, 4, Table{0, 1}},
		{"weight 1 1", 4, 4, Table{0, 0, 1, 1}},
		{"weight 1 3", 8, 4, Table{0, 0, 1, 1, 1, 1, 1, 1}},
		{"weight 1 0 1", 4, 4, Table{0, 0, 2, 2}},
		{"weight 0 0 1", 3, 4, Table{2, 2, 2}},
		{"weight 1 1 1", 8, 4, Table{0, 0, 1, 1, 1, 2, 2, 2}}, // up to 8*1/3 = 2, 8*2/3 = 5, 8
		{"start 1 weight 2 1", 8, 4, Table{1, 1, 1, 1, 1, 2, 2, 2}},
		{"weight 1 1 1 0 0", 3, 5, Table{0, 1, 2}},
		{"equal 5", 8, 4, nil},         // queue 4 does not exist
		{"start 3 equal 2", 8, 4, nil}, // nor here
		{"weight 0 0", 8, 4, nil},
		{"weight 5 4", 8, 4, nil}, // more than the table has entries
		{"default", 0, 4, nil},
		{"weight 1", 0, 4, nil},
		{"weight 1", MaxTableSize + 1, 4, nil},
		{"equal 1", 8, 0, nil},
		{"equal 1", 8, MaxQueues + 1, nil},
		{"start 65536 equal 1", 8, MaxQueues, nil},
		{"start 65535 weight 1 1", 8, MaxQueues, nil},
	} {
		plan, err := ParseTablePlan(c.plan)
		if err != nil {
			t.Fatal(err)
		}
		got, err := plan.Build(c.size, c.queues)
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != (c.want == nil) {
			t.Errorf("%s of %d entries over %d queues: error %v (-want +got):\n%s", c.plan, c.size, c.queues, err, diff)
		}
	}
	if table, err := (TablePlan{Start: -1, Equal: 2}).Build(4, 4); err == nil {
		t.Errorf("start -1: %v, want an error", table)
	}
	if table, err := (TablePlan{Weights: []int{3, -1}}).Build(4, 4); err == nil {
		t.Errorf("weight -1: %v, want an error", table)
	}
}

// fillIndirTable is the loop of ethtool's fill_indir_table, unchanged, as the definition.
func fillIndirTable(size, start int, weights []int) Table {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	t, j, partial := make(Table, size), -1, 0
	for i := range t {
		for i >= size*partial/sum {
			j++
			partial += weights[j]
		}
		t[i] = Queue(start + j)
	}
	return t
}

func TestWeightsEqualEthtool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 12).Draw(t, "weights")
		weights[rapid.IntRange(0, len(weights)-1).Draw(t, "not zero")]++
		size, start := rapid.IntRange(120, 700).Draw(t, "size"), rapid.IntRange(0, 5).Draw(t, "start")
		got, err := TablePlan{Start: start, Weights: weights}.Build(size, 20)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fillIndirTable(size, start, weights), got); diff != "" {
			t.Errorf("weights %v (-ethtool +got):\n%s", weights, diff)
		}
	})
}

func TestParseTablePlan(t *testing.T) {
	for _, s := range []string{"default", "equal 4", "start 2 equal 4", "weight 1 2 3", "start 7 weight 0 1"} {
		p, err := ParseTablePlan(s)
		if err != nil || p.String() != s {
			t.Errorf("ParseTablePlan(%q) = %q, %v", s, p, err)
		}
	}
	for _, s := range []string{"", " ", "equal", "equal 0", "equal x", "equal -1", "equal 1 2", "weight", "4", "start 1", "start",
		"default equal 2", "default 3", "equal 2 weight 1", "weight 1 equal 2", "equal 2 equal 3", "weight 1.5", "equal 99999999999", "equals 2"} {
		if p, err := ParseTablePlan(s); err == nil {
			t.Errorf("ParseTablePlan(%q) = %q, want an error", s, p)
		}
	}
}

func FuzzTablePlan(f *testing.F) {
	for _, s := range []string{"default", "equal 4", "start 2 equal 4", "weight 1 2 3"} {
		f.Add(s, 128, 4)
	}
	f.Fuzz(func(t *testing.T, s string, size, queues int) {
		p, err := ParseTablePlan(s)
		if err != nil {
			return
		}
		if again, err := ParseTablePlan(p.String()); err != nil || fmt.Sprint(again) != fmt.Sprint(p) {
			t.Errorf("ParseTablePlan(%q) = %q, and back %q, %v", s, p, again, err)
		}
		table, err := p.Build(size, queues)
		if err == nil && (len(table) != size || table.Queues() > queues) {
			t.Errorf("%q: %d entries over %d queues, want %d and at most %d", p, len(table), table.Queues(), size, queues)
		}
	})
}
