package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/control/api"
	"lbctl/control/config"
)

// TestChanges: what no step of a datapath shows, and nothing else.
func TestChanges(t *testing.T) {
	const attached = "interfaces: [{name: eth0}]\n" + draining
	old, err := resolve(attached)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, from, to string
		want           []api.FieldChange
	}{
		{"nothing", "", "", nil},
		{"a deadline", "2030-01-31T12", "2031-01-31T12", []api.FieldChange{
			{Field: "services[web].replicas[10.1.0.2:80].drain_until", Before: "2030-01-31T12:00:00Z", After: "2031-01-31T12:00:00Z"}}},
		{"no deadline any more", ", drain_until: 2030-01-31T11:00:00Z", "", []api.FieldChange{
			{Field: "services[web].replicas[10.1.0.3:80].drain_until", Before: "2030-01-31T11:00:00Z"}}},
		{"a first deadline", "10.1.0.4:80, state: draining", "10.1.0.4:80, state: draining, drain_until: 2030-02-01T00:00:00Z", []api.FieldChange{
			{Field: "services[web].replicas[10.1.0.4:80].drain_until", After: "2030-02-01T00:00:00Z"}}},
		{"a name", "name: web", "name: shop", []api.FieldChange{{Field: "services[web].name", Before: "web", After: "shop"}}},
		{"how an interface is attached", "name: eth0", "name: eth0, mode: native", []api.FieldChange{
			{Field: "interfaces[eth0].mode", Before: "auto", After: "native"}}},
		{"another interface is a step", "name: eth0", "name: eth1", nil},
		{"a state is a step", "10.1.0.1:80", "10.1.0.1:80, state: down", nil},
	} {
		next, err := resolve(strings.Replace(attached, c.from, c.to, 1))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, config.Changes(old, next), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
