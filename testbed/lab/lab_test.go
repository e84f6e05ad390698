package lab

import (
	"errors"
	"slices"
	"strings"
	"testing"

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

func TestFindNamesWhatThereIs(t *testing.T) {
	_, err := Find("spraed")
	if !errors.Is(err, lb.ErrNotFound) || !strings.Contains(err.Error(), "spread") {
		t.Errorf("Find of an unknown one = %v", err)
	}
}
