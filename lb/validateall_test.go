package lb_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/lb"
	"lbctl/rss/packet"
)

func TestValidateAll(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s []lb.Service)
		fields []string
	}{
		"valid": {func([]lb.Service) {}, nil},
		"one is wrong": {func(s []lb.Service) { s[2].Replicas[0].Weight = 0 },
			[]string{"services[2].replicas[0].weight"}},
		"vip twice": {func(s []lb.Service) { s[2].VIP = s[0].VIP }, []string{"services[2].vip"}},
		"vip twice, other protocol": {func(s []lb.Service) {
			s[2].VIP = lb.VIP{Address: s[0].VIP.Address, Protocol: packet.UDP}
		}, nil},
		"replica of two services": {func(s []lb.Service) { s[2].Replicas[1] = s[0].Replicas[2] },
			[]string{"services[2].replicas[1].address"}},
		"replica of two services, other protocol": {func(s []lb.Service) {
			s[2].Replicas[1], s[2].VIP.Protocol = s[0].Replicas[2], packet.UDP
		}, nil},
		"replica of two services, other port": {func(s []lb.Service) {
			s[2].Replicas[1].Address = ends("10.1.0.3:81")
		}, nil},
		"replica of three services": {func(s []lb.Service) { s[1].Replicas[0], s[2].Replicas[0] = s[0].Replicas[0], s[0].Replicas[0] },
			[]string{"services[1].replicas[0].address", "services[2].replicas[0].address"}},
		"replica is a later vip": {func(s []lb.Service) { s[0].Replicas[0].Address = s[2].VIP.Address },
			[]string{"services[0].replicas[0].address"}},
		"replica is an earlier vip": {func(s []lb.Service) { s[2].Replicas[0].Address = s[0].VIP.Address },
			[]string{"services[2].replicas[0].address"}},
		"replica is the own vip": {func(s []lb.Service) { s[2].Replicas[0].Address = s[2].VIP.Address },
			[]string{"services[2].replicas[0].address"}},
	} {
		t.Run(name, func(t *testing.T) {
			services := []lb.Service{valid(0), valid(1), valid(2)}
			c.change(services)
			err := lb.ValidateAll(services, lb.DefaultLimits)
			if diff := cmp.Diff(c.fields, fieldsOf(t, err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s%v", diff, err)
			}
			// What ValidateAll accepts, Admit takes one after the other; what it refuses,
			// Admit does not take to the end.
			if got := admitAll(services); (got == nil) != (err == nil) && name != "vip twice" {
				t.Errorf("admit: %v, validate: %v", got, err)
			}
		})
	}
}

// admitAll admits services one after the other.
func admitAll(services []lb.Service) error {
	for i, s := range services {
		if err := lb.Admit(services[:i], s, lb.DefaultLimits); err != nil {
			return err
		}
	}
	return nil
}

func TestValidateAllLimits(t *testing.T) {
	services := []lb.Service{valid(0), valid(1), weighted(251)}
	services[2].VIP.Address, services[2].Replicas = ends("10.0.2.1:80"), valid(2).Replicas
	exact := lb.Limits{Services: 3, Replicas: 9, Slots: 257}
	if err := lb.ValidateAll(services, exact); err != nil {
		t.Fatal(err)
	}
	for want, l := range map[string]lb.Limits{
		"3 services: want at most 2":  {Services: 2, Replicas: 9, Slots: 257},
		"9 replicas: want at most 8":  {Services: 3, Replicas: 8, Slots: 257},
		"257 slots: want at most 256": {Services: 3, Replicas: 9, Slots: 256},
	} {
		err := lb.ValidateAll(services, l)
		if diff := cmp.Diff([]string{"services"}, fieldsOf(t, err)); diff != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", l, err, want)
		}
	}
}

func TestAdmit(t *testing.T) {
	present := []lb.Service{valid(0), valid(1)}
	replace, taken, loop, looped, wrong := valid(1), valid(2), valid(2), valid(2), valid(2)
	replace.Replicas = slices.Clone(replace.Replicas[:1])
	replace.TableSize = 1
	taken.Replicas[2] = present[1].Replicas[0]
	loop.Replicas[0].Address = ends("10.0.1.1:81")
	looped.VIP.Address = ends("10.1.1.2:443")
	wrong.Replicas[0].Weight = 0
	exact := lb.Limits{Services: 3, Replicas: 9, Slots: 9}
	for name, c := range map[string]struct {
		service lb.Service
		limits  lb.Limits
		want    error
	}{
		"new":              {valid(2), exact, nil},
		"replace":          {replace, lb.Limits{Services: 2, Replicas: 4, Slots: 7}, nil},
		"replace, no room": {replace, lb.Limits{Services: 2, Replicas: 4, Slots: 6}, lb.ErrFull},
		"taken":            {taken, exact, lb.ErrConflict},
		"loop":             {loop, exact, lb.ErrConflict},
		"looped":           {looped, exact, lb.ErrConflict},
		"invalid":          {wrong, exact, lb.ErrInvalid},
		"services":         {valid(2), lb.Limits{Services: 2, Replicas: 9, Slots: 9}, lb.ErrFull},
		"replicas":         {valid(2), lb.Limits{Services: 3, Replicas: 8, Slots: 9}, lb.ErrFull},
		"slots":            {valid(2), lb.Limits{Services: 3, Replicas: 9, Slots: 8}, lb.ErrFull},
		"taken and full":   {taken, lb.Limits{}, lb.ErrConflict},
	} {
		if err := lb.Admit(present, c.service, c.limits); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
