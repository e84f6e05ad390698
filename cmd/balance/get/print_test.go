package get

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
)

// TestPrintReplicas: a rate that is not known is not 0, and the reason is there, also that of ill health.
func TestPrintReplicas(t *testing.T) {
	weight := int64(1)
	line := func(state string, r api.Rate, reason string) api.ReplicaTraffic {
		return api.ReplicaTraffic{ServiceName: "web", Replica: api.Replica{Address: "10.0.0.1:80", State: state, Weight: &weight}, Packets: 7, Bytes: 420, Rate: r, Reason: reason}
	}
	ill := line("active", api.Rate{}, "")
	ill.Health = &api.ReplicaHealth{Status: "unhealthy", Reason: "refused"}
	got := replicaTable(replicaLines{Traffic: api.Traffic{Replicas: []api.ReplicaTraffic{
		line("draining", api.Rate{}, ""), line("draining", api.Rate{Known: true}, ""), line("draining", api.Rate{Known: true, PacketsPerSecond: 1234.5}, ""),
		line("active", api.Rate{}, "10.0.0.1 is own"), ill,
	}}}, "")[0]
	var said []string
	for _, r := range got.Rows {
		said = append(said, fmt.Sprintf("%v %v %v", r.Cells[slices.Index(got.Columns, "HEALTH")], r.Cells[slices.Index(got.Columns, "PACKETS/S")], r.Cells[slices.Index(got.Columns, "REASON")]))
	}
	if diff := cmp.Diff([]string{" unknown ", " 0 ", " 1234 ", "  10.0.0.1 is own", "unhealthy  refused"}, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
