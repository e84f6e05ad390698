package peers

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
	"lbctl/testbed/load"
	"lbctl/testbed/measure"
)

// onKernel is a bench whose peers are to be asked for.
func onKernel(t *testing.T, peers ...peer) *bench {
	t.Helper()
	need.Root(t)
	nft, err := where("nft")
	if err != nil {
		t.Skip("nft is not installed")
	}
	in, err := bed.New("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{run: &experiment.Run{Bed: in, Env: experiment.Env{Log: slog.New(slog.DiscardHandler)}}, programs: map[string]string{"nft": nft}}
	for i, p := range peers {
		b.paths = append(b.paths, &path{peer: p, number: i})
	}
	return b
}

// nowhere are features that no kernel has: a NAT chain where packets are forwarded, and a family with a name of ours.
func nowhere() []feature {
	return []feature{
		{name: "late NAT", options: "CONFIG_LATE", rules: `table ip ask { chain c { type nat hook forward priority 0; }; }`},
		{name: "nothing", options: "CONFIG_NOTHING", family: "lbctl-none", question: 1},
	}
}

// TestFeatures: the kernel has what the measured peers need; of what no kernel has, the reason names feature,
// option and the kernel's own words; and asking leaves nothing behind.
func TestFeatures(t *testing.T) {
	b := onKernel(t)
	in, err := b.run.Bed.Namespace("asked")
	if err != nil {
		t.Fatal(err)
	}
	nft := b.programs["nft"]
	for _, f := range []feature{natChains(), hashes(), ingress(), forwards(), {name: "ethtool", family: "ethtool", question: 1}} {
		if why := f.lacks(in, nft); why != "" {
			t.Errorf("%s: %s", f.name, why)
		}
	}
	for _, f := range nowhere() {
		why := f.lacks(in, nft)
		if want := fmt.Sprintf("the kernel has no %s (%s): ", f.name, f.options); !strings.HasPrefix(why, want) || why == want || strings.Contains(why, "\n") {
			t.Errorf("%s: %q, want one line of %q and a reason", f.name, why, want)
		}
	}
	if why := hashes().lacks(in, ""); !strings.HasPrefix(why, "nft is not installed") {
		t.Errorf("without nft: %q", why)
	}
}

// TestAbsentPeers: a peer that the kernel cannot have is not started, measured or called a failure; the report has
// a line for it, for IPVS and for flow tables.
func TestAbsentPeers(t *testing.T) {
	here, gone, dead := find("nftables"), find("nginx"), find("haproxy")
	gone.features, dead.features = nowhere()[:1], nowhere()[1:]
	b := onKernel(t, here, gone, dead)
	b.works = load.Works()[:1]
	b.measured = map[string]*measure.Rounds[measurement]{b.works[0].Name: measure.Recorded(map[string][]measurement{})}
	if err := b.askKernel(); err != nil {
		t.Fatal(err)
	}
	for i, absent := range []bool{false, true, true} {
		if p := b.paths[i]; (p.absent != "") != absent || b.gives(p, b.works[0]) == absent {
			t.Errorf("%s: %q", p.name, p.absent)
		}
	}
	var lines []string
	for _, row := range b.unmeasured().Rows {
		lines = append(lines, fmt.Sprint(row[0], " ", row[1]))
		if row[2] == "" {
			t.Errorf("%v has no reason", row)
		}
	}
	if want := []string{"nginx all", "haproxy all", "ipvs all", "nftables-flowtable all"}; !slices.Equal(lines, want) {
		t.Errorf("not measured are %v, want %v", lines, want)
	}
	if bad := failed(b.exact()); len(bad) != 0 {
		t.Errorf("failed: %v", bad)
	}
}
