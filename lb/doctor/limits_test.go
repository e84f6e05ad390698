package doctor

import (
	"testing"

	"lbctl/lb"
)

func TestLimits(t *testing.T) {
	try(t, healthy, []aCase{
		{"room enough", func(f *Facts) { f.Tables = []Table{{"slots", 79, 100}} }, []string{"ok slots room: 79 of 100, 79 %"}},
		{"nearly full", func(f *Facts) { f.Tables = []Table{{"slots", 80, 100}} },
			[]string{"warning slots room: 80 of 100, 80 % | # write more into the file, datapath: {limits: {slots: 200}}, and restart the daemon: traffic goes on"}},
		{"full", func(f *Facts) { f.Tables = []Table{{"flows", 1 << 33, 1 << 32}} },
			[]string{"warning flows room: 8589934592 of 4294967296, 200 % | # write more into the file, datapath: {limits: {flows: 8589934592}}, and restart the daemon: traffic goes on"}},
		{"nothing is dropped", func(f *Facts) { f.Limits = []Limit{{lb.SourceDenied, []string{"web"}, 0}} },
			[]string{"ok source_denied limits: nothing is dropped now; limited: web"}},
		{"a rate drops", func(f *Facts) {
			f.Limits = []Limit{{lb.RateLimitedFlows, []string{"a", "b", "c", "d", "e", "f", "g"}, 1234.5}}
		},
			[]string{"warning rate_limited_flows limits: 1234 packets a second are dropped; limited: a, b, c, d, e and 2 more | lbctl monitor --reason rate_limited_flows"}},
	})
}
