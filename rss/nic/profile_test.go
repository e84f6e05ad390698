package nic

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
)

// Every profile is a valid NIC, has an origin, and either is verified or says why not.
func TestProfiles(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Profiles() {
		if seen[p.Name] {
			t.Errorf("two profiles are called %s", p.Name)
		}
		seen[p.Name] = true
		if p.Driver == "" || p.KeySource == "" || len(p.Origin) == 0 || len(p.Tables) == 0 || len(p.Functions) == 0 {
			t.Errorf("%s says too little: %+v", p.Name, p)
		}
		if p.Verified != (p.Doubt == "") {
			t.Errorf("%s: verified %v, doubt %q", p.Name, p.Verified, p.Doubt)
		}
		if p.Key != nil && len(p.Key) != p.KeyLength {
			t.Errorf("%s: key of %d bytes, keys are of %d", p.Name, len(p.Key), p.KeyLength)
		}
		if got, ok := NamedProfile(p.Name); !ok || got.Driver != p.Driver {
			t.Errorf("NamedProfile(%q) = %v, %v", p.Name, got.Driver, ok)
		}
		for _, queues := range []int{1, 3, 4, 64} {
			config, err := p.Config(queues)
			if err != nil {
				t.Errorf("%s over %d queues: %v", p.Name, queues, err)
				continue
			}
			if _, err := New(config); err != nil {
				t.Errorf("%s over %d queues: %v", p.Name, queues, err)
			}
		}
	}
	for _, want := range []string{"ixgbe", "igb", "igc", "i40e", "iavf", "ice", "mlx5", "ena", "ena-gen4", "gve", "virtio-net",
		"hv_netvsc", "mana", "bnxt", "vmxnet3", "hns3", "dpdk-mlx5", "dpdk-i40e", "dpdk-ena"} {
		if !seen[want] {
			t.Errorf("there is no profile of %s", want)
		}
	}
}

func TestProfileRefuses(t *testing.T) {
	p, _ := NamedProfile("ixgbe")
	for _, queues := range []int{-1, 0, rss.MaxQueues + 1} {
		if _, err := p.Config(queues); err == nil {
			t.Errorf("Config(%d) gave no error", queues)
		}
	}
	if _, err := p.ConfigSize(4, rss.MaxTableSize+1); err == nil {
		t.Error("a table that is too large gave no error")
	}
	if p, ok := NamedProfile("ixgb"); ok {
		t.Errorf("NamedProfile(ixgb) = %s", p.Name)
	}
}

func TestProfilesAreCopies(t *testing.T) {
	for i, p := range Profiles() {
		if p.Key == nil {
			continue
		}
		p.Key[0] ^= 0xff
		if again := Profiles()[i]; slices.Equal(again.Key, p.Key) {
			t.Errorf("%s shares its key between callers", p.Name)
		}
	}
}

func TestTableSize(t *testing.T) {
	for _, c := range []struct {
		size   TableSize
		queues int
		want   int
		text   string
	}{
		{TableSize{Entries: 128}, 200, 128, "128"},
		{TableSize{PerQueue: 4}, 3, 12, "4 per queue"},
		{TableSize{Entries: 256, PerQueue: 2, PowerOfTwo: true}, 100, 256, "at least 256, 2 per queue rounded up to a power of two"},
		{TableSize{Entries: 256, PerQueue: 2, PowerOfTwo: true}, 129, 512, "at least 256, 2 per queue rounded up to a power of two"},
		{TableSize{PerQueue: 1, PowerOfTwo: true}, 1, 1, "1 per queue rounded up to a power of two"},
		{TableSize{PerQueue: 1, PowerOfTwo: true}, 4, 4, "1 per queue rounded up to a power of two"},
	} {
		if got := c.size.Size(c.queues); got != c.want || c.size.String() != c.text {
			t.Errorf("%v of %d queues = %d, want %s, %d", c.size, c.queues, got, c.text, c.want)
		}
	}
}

// igb gives each queue one run of entries; others give them in turn.
func TestProfileTables(t *testing.T) {
	igb, _ := NamedProfile("igb")
	blocks, err := igb.ConfigSize(3, 8)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rss.Table{0, 0, 0, 1, 1, 1, 2, 2}, blocks.Table); diff != "" {
		t.Errorf("igb (-want +got):\n%s", diff)
	}
	ixgbe, _ := NamedProfile("ixgbe")
	turn, err := ixgbe.ConfigSize(3, 8)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rss.Table{0, 1, 2, 0, 1, 2, 0, 1}, turn.Table); diff != "" {
		t.Errorf("ixgbe (-want +got):\n%s", diff)
	}
}
