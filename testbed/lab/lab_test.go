package lab

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/testbed/experiment"
)

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range All() {
		if e.Problem == "" || e.Question == "" || e.Claim == "" || e.Method == "" || len(e.Checks) == 0 || len(e.Controls) == 0 || seen[e.Name] {
			t.Errorf("experiment %s: its declaration lacks something, or the name is twice", e.Name)
		}
		for _, s := range slices.Concat(e.Checks, e.Controls) {
			if s.Name == "" || s.Text == "" {
				t.Errorf("%s: check or control %+v lacks its name or text", e.Name, s)
			}
		}
		asked := map[string]bool{}
		for _, p := range e.Predictions {
			if p.Name == "" || !strings.HasSuffix(p.Question, "?") || asked[p.Name] || p.Kind == experiment.YesNo && p.Unit+p.Rule() != "" {
				t.Errorf("%s: prediction %+v lacks something, or its name is twice", e.Name, p)
			}
			asked[p.Name] = true
		}
		seen[e.Name] = true
		if found, err := Find(e.Name); err != nil || found.Name != e.Name {
			t.Errorf("Find(%q) = %q, %v", e.Name, found.Name, err)
		}
		for _, p := range e.Trial().Parameters().List() {
			if p.Help == "" || p.Default == "" {
				t.Errorf("%s: parameter %q has no help or no default", e.Name, p.Name)
			}
			if err := e.Trial().Parameters().Set(p.Name + "=" + p.Default); err != nil {
				t.Errorf("%s: the default of %s is refused: %v", e.Name, p.Name, err)
			}
		}
	}
	if _, err := Find(Demo); err != nil {
		t.Errorf("the demo: %v", err)
	}
}

// TestProblems: ten, in order, and every experiment belongs to a part of one that there is.
func TestProblems(t *testing.T) {
	known := map[reference]bool{}
	for i, p := range Problems() {
		if p.Number != i+1 || p.Title == "" || len(p.Parts) == 0 {
			t.Errorf("problem %d: %+v", i+1, p)
		}
		known[reference{p.Number, ""}] = true
		for _, part := range p.Parts {
			if !strings.HasSuffix(part.Question, "?") || !strings.HasSuffix(part.Answer, ".") {
				t.Errorf("problem %d: part %+v", p.Number, part)
			}
			known[reference{p.Number, part.Letter}] = true
		}
	}
	if len(Problems()) != 10 {
		t.Errorf("%d problems", len(Problems()))
	}
	last := 0
	for _, e := range All() {
		list := references(e)
		if len(list) == 0 || list[0].number < last {
			t.Errorf("%s, problem %q: none, or not in order", e.Name, e.Problem)
			continue
		}
		last = list[0].number
		for _, r := range list {
			if !known[r] {
				t.Errorf("%s: there is no problem %+v", e.Name, r)
			}
		}
	}
}

// TestQuickIsQuick: by their declarations all experiments at quick size take at most four minutes, and each 45 seconds.
func TestQuickIsQuick(t *testing.T) {
	var sum time.Duration
	for _, e := range All() {
		if sum += e.Needs.Quick; e.Needs.Quick > 45*time.Second {
			t.Errorf("%s takes %v", e.Name, e.Needs.Quick)
		}
	}
	if sum > 4*time.Minute {
		t.Errorf("all take %v", sum)
	}
}

func TestFindNamesWhatThereIs(t *testing.T) {
	_, err := Find("spraed")
	if !errors.Is(err, lb.ErrNotFound) || !strings.Contains(err.Error(), "spread") {
		t.Errorf("Find of an unknown one = %v", err)
	}
}
