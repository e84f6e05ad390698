package spread

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lbctl/testbed/report"
)

// TestFiguresAndTables draws everything that the report shows, from good evidence and from none.
func TestFiguresAndTables(t *testing.T) {
	m := testModel(t)
	e := good(m)
	single := fabricate(m, 1, testObjects, func(_ *rand.Rand, n int) int { return n })
	figures, err := Figures(e, single, m)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range figures {
		if names[f.Name] || f.Title == "" || f.Caption == "" {
			t.Errorf("figure %q: twice, or without title or caption", f.Name)
		}
		names[f.Name] = true
	}
	checks := Checks(e, m)
	r := report.Result{Experiment: "spread", Checks: checks, Tables: Tables(e, checks, m)}
	if err := report.Write(t.TempDir(), r, figures); err != nil {
		t.Fatal(err)
	}
}

// TestHopsShowsWhatWasSeen: the connection that is followed has its measured queue and replica.
func TestHopsShowsWhatWasSeen(t *testing.T) {
	m := testModel(t)
	tally := newTally(good(m))
	c := tally.followed()
	figure, err := tally.hops(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		c.flow.Source.String(), tally.Replicas[c.replicas()[0]].Addr().String(), report.Cell(c.seen.Packets) + " packets",
	} {
		if !strings.Contains(string(figure.SVG), want) {
			t.Errorf("the way of %v lacks %q", c.flow, want)
		}
	}
	if _, err := newTally(Evidence{}).hops(m); err != nil {
		t.Errorf("without evidence: %v", err)
	}
}

// TestGrowthFollowsChance: means over 16 objects lie near N(1-(1-1/N)^r).
func TestGrowthFollowsChance(t *testing.T) {
	m := testModel(t)
	means := newTally(good(m)).firstReplicas(12)
	if len(means) != 12 || means[0] != 1 {
		t.Fatalf("means = %v, want 12 of them, the first 1", means)
	}
	for i, mean := range means {
		want := 4 * (1 - math.Pow(.75, float64(i+1)))
		if math.Abs(mean-want) > 0.7 { // 4 standard deviations of a mean of 16 at most
			t.Errorf("after %d connections %.2f replicas, want about %.2f", i+1, mean, want)
		}
	}
}

// TestRemoval: maglev moves hardly more than the connections of the replica that goes,
// modulo about 3 of 4.
func TestRemoval(t *testing.T) {
	m := testModel(t)
	rows := removal(newTally(good(m)), m).Rows
	modulo, maglev, orphans := rows[0][1].(int), rows[1][1].(int), rows[1][3].(int)
	if modulo < testConnections*65/100 || modulo > testConnections*85/100 {
		t.Errorf("modulo moves %d of %d, want about 3 of 4", modulo, testConnections)
	}
	if maglev < orphans || maglev > orphans*115/100 {
		t.Errorf("maglev moves %d, want hardly more than the %d that must", maglev, orphans)
	}
}

// TestClaimsFollowChecks: an answer is given only when its checks passed.
func TestClaimsFollowChecks(t *testing.T) {
	m := testModel(t)
	e := good(m)
	move(&e, e.Observed[9].Flow.Source, testReplicas)
	rows := claims(Checks(e, m)).Rows
	for i, want := range []bool{true, false, true} {
		if answered := !strings.HasPrefix(rows[i][1].(string), "Not shown"); answered != want {
			t.Errorf("question %d is answered: %v, want %v", i, answered, want)
		}
	}
}
