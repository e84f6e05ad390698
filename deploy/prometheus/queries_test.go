package prometheus

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// query is one in PromQL, and where it stands.
type query struct{ where, text string }

// rules is the part of a file of rules that has queries.
type rules struct {
	Groups []struct {
		Rules []struct{ Record, Alert, Expr string }
	}
}

func readRules(t *testing.T) (r rules) {
	t.Helper()
	text, err := os.ReadFile("lbctl.rules.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// dashboard is the part of Grafana's model that is checked.
type dashboard struct {
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Type, Query string }
	}
	Annotations struct{ List []struct{ Name, Expr string } }
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("../grafana/lbctl.json")
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// queries are all of the rules and of the dashboard.
func queries(t *testing.T) (all []query) {
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			all = append(all, query{r.Record + r.Alert, r.Expr})
		}
	}
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, target.Expr})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, query{a.Name, a.Expr})
	}
	for _, v := range d.Templating.List {
		if inside, is := strings.CutPrefix(v.Query, "label_values("); is {
			all = append(all, query{"$" + v.Name, inside[:strings.LastIndex(inside, ",")]})
		}
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b((?:lbctl|process|go)[_:][a-z0-9_:]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right) \(([^)]*)\)`)
	// ours are the labels that Prometheus adds.
	ours = []string{"job", "instance"}
)

// problemsOf are the names and labels in a query that are not among the series.
func problemsOf(q query, have series, recorded []string) (problems []string) {
	grouped := grouping.FindAllStringSubmatch(q.text, -1)
	var labels []string // of all series of the query
	for _, m := range selector.FindAllStringSubmatch(grouping.ReplaceAllString(q.text, ""), -1) {
		name := m[1]
		of, known := have[name]
		if slices.Contains(recorded, name) {
			of, known = have["lbctl_replica_packets_total"], true
		}
		if !known {
			problems = append(problems, name+" is no metric")
			continue
		}
		labels = slices.AppendSeq(labels, maps.Keys(of))
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			problems = append(problems, wrongMatch(name, l[1], l[3], of)...)
		}
	}
	for _, g := range grouped {
		for label := range strings.SplitSeq(g[1], ",") {
			if label = strings.TrimSpace(label); label != "" && !slices.Contains(labels, label) && !slices.Contains(ours, label) {
				problems = append(problems, "no series of it has the label "+label)
			}
		}
	}
	return problems
}

// wrongMatch says of a matcher that no series has the label, or none of its values.
func wrongMatch(name, label, pattern string, of map[string][]string) (problems []string) {
	if slices.Contains(ours, label) || strings.HasPrefix(pattern, "$") && of[label] != nil {
		return nil
	}
	if of[label] == nil {
		return []string{name + " has no label " + label}
	}
	for value := range strings.SplitSeq(pattern, "|") {
		if !slices.Contains(of[label], value) {
			problems = append(problems, name+" has no "+label+" "+value)
		}
	}
	return problems
}

// TestProblemsAreFound: what is wrong with a query is seen, and a right one has no problem.
func TestProblemsAreFound(t *testing.T) {
	have := series{"lbctl_a_total": {"reason": {"x", "y"}}, "lbctl_replica_packets_total": {"service": {"web"}}}
	for text, want := range map[string]int{
		`sum by (reason, job) (rate(lbctl_a_total{job="z",reason=~"x|y"}[5m]))`: 0, `lbctl:b{service=~"$service"}`: 0,
		`lbctl_b_total`: 1, `lbctl_a_total{reason="z"}`: 1, `lbctl_a_total{reasn="x"}`: 1, `sum by (cause) (lbctl_a_total)`: 1, `lbctl_a_total{reason=~"x|z"}`: 1,
	} {
		if got := problemsOf(query{text: text}, have, []string{"lbctl:b"}); len(got) != want {
			t.Errorf("%s: %v, want %d problems", text, got, want)
		}
	}
}

// TestDashboardIsAPage: each panel has a title, an id and a place of its own.
func TestDashboardIsAPage(t *testing.T) {
	ids, places := map[int]bool{}, map[[2]int]string{}
	for _, p := range readDashboard(t).Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: no id of its own, no title or no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := places[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q at %d,%d: in the place of %q, or beside the page", p.Title, x, y, other)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
	}
}
