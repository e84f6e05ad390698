package peers

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/testbed/experiment"
)

// set returns a trial with parameters set.
func set(t *testing.T, assignments ...string) *trial {
	t.Helper()
	trial := New().(*trial)
	for _, a := range assignments {
		if err := trial.parameters.Set(a); err != nil {
			t.Fatal(err)
		}
	}
	return trial
}

func names(list []peer) (all []string) {
	for _, p := range list {
		all = append(all, p.name)
	}
	return all
}

func TestChoice(t *testing.T) {
	for list, want := range map[string]string{
		defaultPeers:           "direct xdp lbctl nftables haproxy nginx slowed",
		"nginx, lbctl":         "lbctl nginx",
		"lbctl,direct,lbctl":   "direct lbctl slowed",
		"forward,xdp":          "forward xdp",
		"lbctl-generic,direct": "direct lbctl-generic",
	} {
		b := &bench{}
		chosen, err := set(t, "peers="+list).validate(b)
		if err != nil {
			t.Fatalf("%s: %v", list, err)
		}
		if got := strings.Join(names(chosen), " "); got != want {
			t.Errorf("%s: chosen %s, want %s", list, got, want)
		}
		if len(b.works) != 4 {
			t.Errorf("%d works by default, want 4", len(b.works))
		}
	}
	b := &bench{}
	if _, err := set(t, "works=datagrams, packets,datagrams").validate(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"datagrams", "packets"}, []string{b.works[0].Name, b.works[len(b.works)-1].Name}); diff != "" || len(b.works) != 2 {
		t.Errorf("works (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	for assignment, says := range map[string]string{
		"requests=0":           "requests=0: want 1 to 10000000",
		"requests=99999999999": "want 1 to 10000000",
		"concurrency=-1":       "concurrency=-1: want 1 to 1000",
		"rounds=0":             "rounds=0: want 1 to 1000",
		"replicas=33":          "replicas=33: want 1 to 32",
		"peers=":               `"" is not known: want some of direct, forward`,
		"peers=direct,ipvs":    `"ipvs" is not known`,
		"peers=slowed":         `"slowed" is not known`,
		"works=http":           `"http" is not known: want some of connections,packets`,
		"works=":               `"" is not known`,
	} {
		_, err := set(t, assignment).validate(&bench{})
		if !errors.Is(err, experiment.ErrParameter) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want ErrParameter saying %q", assignment, err, says)
		}
	}
}
