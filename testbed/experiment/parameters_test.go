package experiment

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() (*Parameters, *int) {
	n := new(int)
	p := NewParameters(func(f *flag.FlagSet) {
		f.IntVar(n, "replicas", 4, "the number of replicas")
		f.String("key", "ms", "the RSS key")
	})
	return p, n
}

func TestSet(t *testing.T) {
	p, n := sample()
	if err := p.Set("replicas=7"); err != nil || *n != 7 {
		t.Fatalf("replicas = %d, %v; want 7", *n, err)
	}
	want := map[string]any{"replicas": 7, "key": "ms"}
	if diff := cmp.Diff(want, p.Values()); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if list := p.List(); len(list) != 2 || list[1].Default != "4" {
		t.Errorf("list = %v, want the default 4 of replicas", list)
	}
}

func TestSetRefuses(t *testing.T) {
	for assignment, says := range map[string]string{
		"replicas":       "key=value",
		"replica=7":      "want one of key, replicas",
		"replicas=seven": "the number of replicas",
		"replicas=1.5":   "for instance 4",
	} {
		p, n := sample()
		err := p.Set(assignment)
		if !errors.Is(err, ErrParameter) || !strings.Contains(err.Error(), says) {
			t.Errorf("Set(%q) = %v, want ErrParameter saying %q", assignment, err, says)
		}
		if *n != 4 {
			t.Errorf("Set(%q) changed the value to %d", assignment, *n)
		}
	}
}
