package get

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
)

// TestPrintReplicas: a rate that is not known is not 0, and the reason is there.
func TestPrintReplicas(t *testing.T) {
	weight := int64(1)
	line := func(state string, r api.Rate, reason string) api.ReplicaTraffic {
		return api.ReplicaTraffic{ServiceName: "web", Replica: api.Replica{Address: "10.0.0.1:80", State: state, Weight: &weight}, Packets: 7, Bytes: 420, Rate: r, Reason: reason}
	}
	var out strings.Builder
	printReplicas(&out, replicaLines{Traffic: api.Traffic{Replicas: []api.ReplicaTraffic{
		line("draining", api.Rate{}, ""), line("draining", api.Rate{Known: true}, ""), line("draining", api.Rate{Known: true, PacketsPerSecond: 1234.5}, ""),
		line("active", api.Rate{}, "10.0.0.1 is own"),
	}}})
	const want = "SERVICE\tREPLICA\tSTATE\tWEIGHT\tPACKETS\tBYTES\tPACKETS/S\tREASON\n" +
		"web\t10.0.0.1:80\tdraining\t1\t7\t420\tunknown\t\n" + "web\t10.0.0.1:80\tdraining\t1\t7\t420\t0\t\n" +
		"web\t10.0.0.1:80\tdraining\t1\t7\t420\t1234\t\n" + "web\t10.0.0.1:80\tactive\t1\t7\t420\t\t10.0.0.1 is own\n"
	if diff := cmp.Diff(want, strings.ReplaceAll(out.String(), "-", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
