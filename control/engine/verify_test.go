package engine

import (
	"errors"
	"slices"
	"testing"

	"lbctl/lb"
)

// What the datapath does not forward as the intent says is named, and set again when that is asked for; what it refuses is not
// called repaired.
func TestVerifyIntent(t *testing.T) {
	w := startWorld(t, newLinks(), wanting("eth0"))
	verify := func(repair bool, want ...lb.Drift) {
		t.Helper()
		now, v, err := w.Verify(t.Context(), repair)
		if err != nil || now.Number != 1 || v.Found != uint64(len(want)) || !slices.Equal(v.Drifts, want) {
			t.Errorf("repair %v: %+v, %v, want %+v", repair, v, err, want)
		}
	}
	service := lb.Drift{Table: "intent", Key: web().VIP.String(), Want: "forwarded as intended", Have: "not forwarded"}
	link := lb.Drift{Table: "intent", Key: "eth0", Want: "attached", Have: "not attached"}
	verify(false)
	remove := func() {
		if err := w.dp.RemoveService(t.Context(), web().VIP); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	w.dp.refuse("eth0", errAbsent)
	verify(false, service, link)
	verify(false, service, link)
	service.Repaired = true
	verify(true, service, link)
	verify(false, link)
	remove()
	w.dp.refuseVIP(web().VIP, errors.New("no room"))
	service.Repaired = false
	verify(true, service, link)
	w.dp.refuseVIP(web().VIP, nil)
	w.dp.allow("eth0")
	service.Repaired, link.Repaired = true, true
	verify(true, service, link)
	other := web(in(lb.Active), in(lb.Active)).Service.WithDefaults()
	other.Seed, other.Replicas[0].Weight = 9, 1
	if err := w.dp.SetService(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	service.Have = "seed 9"
	verify(true, service)
	verify(true)
}
