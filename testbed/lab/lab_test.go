package lab

import (
	"errors"
	"strings"
	"testing"

	"lbctl/lb"
)

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range All() {
		if e.Name == "" || e.Problem == "" || e.Summary == "" || seen[e.Name] {
			t.Errorf("experiment %+v: something is missing, or the name is twice", e)
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
