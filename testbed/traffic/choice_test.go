package traffic

import (
	"net/netip"
	"slices"
	"testing"

	"lbctl/testbed/replica"
)

func counts(c Config) []int {
	choice := newChoice(c)
	n := make([]int, c.Site.Objects)
	for i := range c.Connections {
		for _, o := range choice.objects(i) {
			n[o]++
		}
	}
	return n
}

func TestChoiceFollowsPopularity(t *testing.T) {
	c := Config{
		Connections: 10_000, RequestsPerConnection: 10, Seed: 3,
		Site: replica.Site{Objects: 4},
	}
	for _, test := range []struct {
		popularity float64
		share      []float64
	}{
		{0, []float64{.25, .25, .25, .25}},
		{1, []float64{12. / 25, 6. / 25, 4. / 25, 3. / 25}},
	} {
		c.Popularity = test.popularity
		for object, n := range counts(c) {
			// Six standard deviations of 100,000 draws are below 0.01.
			if got := float64(n) / 100_000; got < test.share[object]-.01 || got > test.share[object]+.01 {
				t.Errorf("seed %d, popularity %v: share of object %d is %v, want %v", c.Seed, c.Popularity, object, got, test.share[object])
			}
		}
	}
}

func TestChoiceDependsOnSeedAndConnectionOnly(t *testing.T) {
	c := Config{Connections: 2, RequestsPerConnection: 50, Seed: 3, Site: replica.Site{Objects: 64}}
	a, again := newChoice(c).objects(0), newChoice(c).objects(0)
	if !slices.Equal(a, again) {
		t.Error("same seed, same connection, other objects")
	}
	if slices.Equal(a, newChoice(c).objects(1)) {
		t.Error("two connections ask for the same")
	}
	c.Seed++
	if slices.Equal(a, newChoice(c).objects(0)) {
		t.Error("two seeds ask for the same")
	}
}

func TestValidateRefuses(t *testing.T) {
	good := Config{
		VIP: netip.MustParseAddrPort("192.0.2.1:80"), Sources: []netip.Addr{netip.MustParseAddr("192.0.2.2")},
		Connections: 1, RequestsPerConnection: 1, Site: replica.DefaultSite(1),
	}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no vip":              func(c *Config) { c.VIP = netip.AddrPort{} },
		"port 0":              func(c *Config) { c.VIP = netip.AddrPortFrom(c.VIP.Addr(), 0) },
		"no sources":          func(c *Config) { c.Sources = nil },
		"other family":        func(c *Config) { c.Sources = []netip.Addr{netip.IPv6Loopback()} },
		"no connections":      func(c *Config) { c.Connections = 0 },
		"no requests":         func(c *Config) { c.RequestsPerConnection = 0 },
		"negative":            func(c *Config) { c.Concurrency = -1 },
		"negative popularity": func(c *Config) { c.Popularity = -1 },
		"no objects":          func(c *Config) { c.Site.Objects = 0 },
		"sizes":               func(c *Config) { c.Site.MinSize = c.Site.MaxSize + 1 },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
