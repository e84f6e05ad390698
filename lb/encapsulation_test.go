package lb_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/lb"
)

func TestValidateEncapsulation(t *testing.T) {
	sources := func(text string) func(*lb.Service) {
		return func(s *lb.Service) { s.TunnelSources = netip.MustParsePrefix(text) }
	}
	six := func(s *lb.Service) {
		s.Replicas = []lb.Replica{{Address: ends("[fd00:1::1]:80"), Weight: 1}}
		s.TableSize = 1
	}
	for name, c := range map[string]struct {
		change func(s *lb.Service)
		fields []string
	}{
		"plain":                     {func(*lb.Service) {}, nil},
		"gue, its port":             {func(s *lb.Service) { s.Encapsulation = lb.GUE; *s = s.WithDefaults() }, nil},
		"fou, a port":               {func(s *lb.Service) { s.Encapsulation, s.TunnelPort = lb.FOU, 65535 }, nil},
		"fou has no port of itself": {func(s *lb.Service) { s.Encapsulation = lb.FOU; *s = s.WithDefaults() }, []string{"tunnel_port"}},
		"a port of nothing":         {func(s *lb.Service) { s.TunnelPort = 1 }, []string{"tunnel_port"}},
		"unknown":                   {func(s *lb.Service) { s.Encapsulation = 3 }, []string{"encapsulation"}},
		"in nat":                    {func(s *lb.Service) { s.Mode, s.Encapsulation, s.TunnelPort = lb.NAT, lb.GUE, 1 }, []string{"encapsulation"}},
		"in dsr":                    {func(s *lb.Service) { s.Mode = lb.DSR; sources("10.9.0.0/24")(s) }, []string{"tunnel_sources"}},
		"a range":                   {sources("10.9.0.0/24"), nil},
		"one address":               {sources("10.9.0.0/32"), nil},
		"a range of IPv6":           {func(s *lb.Service) { six(s); sources("2001:db8::/64")(s) }, nil},
		"another family":            {sources("2001:db8::/64"), []string{"tunnel_sources"}},
		"another family, IPv6":      {func(s *lb.Service) { six(s); sources("10.9.0.0/24")(s) }, []string{"tunnel_sources"}},
		"bits behind it":            {sources("10.9.0.1/24"), []string{"tunnel_sources"}},
		"all of IPv4":               {sources("0.0.0.0/0"), []string{"tunnel_sources"}},
		"loopback within":           {sources("126.0.0.0/7"), []string{"tunnel_sources"}},
		"within loopback":           {sources("127.9.0.0/24"), []string{"tunnel_sources"}},
		"multicast":                 {sources("239.0.0.0/24"), []string{"tunnel_sources"}},
		"multicast of IPv6":         {func(s *lb.Service) { six(s); sources("ff02::/64")(s) }, []string{"tunnel_sources"}},
		"link-local":                {func(s *lb.Service) { six(s); sources("fe80::/64")(s) }, []string{"tunnel_sources"}},
		"the VIP within":            {sources("10.0.0.0/16"), []string{"tunnel_sources"}},
		"a replica within":          {sources("10.1.1.2/32"), []string{"tunnel_sources"}},
		"no prefix":                 {func(s *lb.Service) { s.TunnelSources = netip.PrefixFrom(ends("10.0.0.1:1").Addr(), 99) }, []string{"tunnel_sources"}},
	} {
		s := valid(1)
		s.Mode = lb.IPIP
		c.change(&s)
		if diff := cmp.Diff(c.fields, fieldsOf(t, s.Validate())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A range must not have the VIP of any service: also where one of both stays as it was.
func TestSourcesWithVIPs(t *testing.T) {
	tunnels, other := valid(1), valid(2)
	tunnels.Mode, tunnels.TunnelSources = lb.IPIP, netip.MustParsePrefix("10.9.0.0/24")
	within := other
	within.VIP.Address = ends("10.9.0.7:80")
	want := []string{"services[0].tunnel_sources"}
	if got := fieldsOf(t, lb.ValidateAll([]lb.Service{tunnels, other}, lb.DefaultLimits)); got != nil {
		t.Errorf("beside each other: %v", got)
	}
	if got := fieldsOf(t, lb.ValidateAll([]lb.Service{tunnels, within}, lb.DefaultLimits)); cmp.Diff(want, got) != "" {
		t.Errorf("the VIP within: %v, want %v", got, want)
	}
	if got := fieldsOf(t, lb.ValidateChange([]*lb.Service{&tunnels}, []*lb.Service{&tunnels, &within}, lb.DefaultLimits)); cmp.Diff(want, got) != "" {
		t.Errorf("the VIP comes: %v, want %v", got, want)
	}
}
