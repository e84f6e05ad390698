package cli_test

import (
	"testing"

	"lbctl/cmd/cli"
	"lbctl/control/api"
)

// A replica's reason is why no packet gets there; else what its checks say; else how far it has started.
func TestReasonText(t *testing.T) {
	share := int64(40)
	for want, r := range map[string]api.ReplicaTraffic{
		"":                            {},
		"no route":                    {Reason: "no route", Health: &api.ReplicaHealth{Reason: "timeout"}},
		"timeout":                     {Health: &api.ReplicaHealth{Reason: "timeout", StartingPercent: &share}},
		"starting: 40 % of its share": {Health: &api.ReplicaHealth{Status: "healthy", StartingPercent: &share}},
	} {
		if got := cli.ReasonText(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
