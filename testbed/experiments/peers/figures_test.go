package peers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss/packet"
	"lbctl/testbed/load"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// sample is a bench that has measured some peers at one work: the rate in thousand requests
// a second and the CPU time of a request in microseconds, by peer, the same in all rounds but in every third, in
// which the machine is half as fast. change may spoil a measurement.
func sample(w load.Work, figures map[string][2]float64, change func(peer string, m *measurement)) *bench {
	b := &bench{parameters: parameters{rounds: 18, requests: 1000, replicaCount: 2, works: []load.Work{w}}}
	turns := map[string][]measurement{}
	for i, p := range all() {
		f, measured := figures[p.name]
		if !measured {
			continue
		}
		b.paths = append(b.paths, &path{peer: p, number: i, replicas: 2})
		for round := range b.rounds {
			slow := float64(1 + round%3%2)
			m := measurement{
				Result:   load.Result{Requests: 1000, Took: time.Duration(slow * float64(time.Second) / f[0])},
				all:      time.Duration(1000 * slow * f[1] * float64(time.Microsecond)),
				arrivals: arrivals{500, 500},
			}
			if change != nil {
				change(p.name, &m)
			}
			turns[p.name] = append(turns[p.name], m)
		}
	}
	b.measured = map[string]*measure.Rounds[measurement]{w.Name: measure.Recorded(turns)}
	return b
}

// first is the first work.
func first() load.Work { return load.Works()[0] }

func good() map[string][2]float64 {
	return map[string][2]float64{
		direct: {10, 100}, "lbctl": {9.6, 104}, "nftables": {9, 120}, "haproxy": {5, 200}, slowed: {3, 300},
	}
}

func failed(checks []report.Check) (names []string) {
	for _, c := range checks {
		if !c.Pass {
			names = append(names, c.Name)
		}
	}
	return names
}

func TestFigures(t *testing.T) {
	list := sample(first(), good(), nil).figures(first())
	if len(list) != 5 {
		t.Fatalf("%d peers, want 5", len(list))
	}
	own := list[slices.IndexFunc(list, func(f figures) bool { return f.peer.name == subjectName })]
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"rate", own.rate, 9600}, {"slowest", own.slowest, 4800}, {"fastest", own.fastest, 9600},
		{"of direct", own.ofDirect, 0.96}, {"all", own.all, 104}, {"above", own.above, 4},
		{"least", own.leastCPU, 104}, {"most", own.mostCPU, 208},
	} {
		if d := c.got - c.want; d > 0.01 || d < -0.01 {
			t.Errorf("%s is %v, want %v", c.what, c.got, c.want)
		}
	}
}

// TestChecks: all pass, and each fails by what it is about and by nothing else.
func TestChecks(t *testing.T) {
	checks, controls := sample(first(), good(), nil).checks()
	if len(checks) != 7 || len(controls) != 3 {
		t.Fatalf("%d checks and %d controls, want 7 and 3", len(checks), len(controls))
	}
	if bad := append(failed(checks), failed(controls)...); len(bad) != 0 {
		t.Errorf("failed: %v", bad)
	}
	type peers = map[string][2]float64
	for name, spoil := range map[string]struct {
		figures func(peers)
		change  func(string, *measurement)
		bench   func(*bench)
	}{
		"connections-of-direct": {figures: func(f peers) { f[subjectName] = [2]float64{9.4, 104} }},
		"connections-ahead":     {figures: func(f peers) { f["haproxy"] = [2]float64{9.7, 200} }},
		"connections-cpu-ahead": {figures: func(f peers) { f["nftables"] = [2]float64{9, 103} }},
		"untracked":             {bench: func(b *bench) { b.paths = append(b.paths, &path{peer: find("nftables-stateless"), tracked: 1}) }},
		"no-errors":             {change: func(_ string, m *measurement) { m.Errors = 1 }},
		"every-peer":            {bench: func(b *bench) { b.paths = append(b.paths, &path{peer: find("nginx"), broken: "it would not start"}) }},
		"every-replica": {change: func(peer string, m *measurement) {
			if peer == "haproxy" {
				m.arrivals = arrivals{0, 1000}
			}
		}},
	} {
		f := good()
		if spoil.figures != nil {
			spoil.figures(f)
		}
		b := sample(first(), f, spoil.change)
		if spoil.bench != nil {
			spoil.bench(b)
		}
		checks, _ := b.checks()
		if got := failed(checks); !slices.Equal(got, []string{name}) {
			t.Errorf("%s: failed are %v", name, got)
		}
	}
	// A control that keeps up does not do what it is for.
	f := good()
	f[slowed] = f[subjectName]
	if _, controls := sample(first(), f, nil).checks(); len(failed(controls)) != 3 {
		t.Errorf("a control that is not slow: %v", controls)
	}
}

// TestWhatIsNotMeasuredIsNotChecked: without direct there is no share of it, without rivals nobody to be ahead of, and
// of datagrams no share is demanded.
func TestWhatIsNotMeasuredIsNotChecked(t *testing.T) {
	for _, c := range []struct {
		peers []string
		work  int
		want  int
	}{
		{[]string{"direct", "lbctl"}, 0, 1}, {[]string{"xdp", "lbctl"}, 0, 0}, {[]string{"lbctl", "nginx"}, 0, 2}, {[]string{"direct", "nginx"}, 0, 0},
		{[]string{"direct", "lbctl", "nginx"}, 2, 3}, {[]string{"direct", "lbctl", "nginx"}, 3, 2},
	} {
		f := map[string][2]float64{}
		for _, p := range c.peers {
			f[p] = [2]float64{10, 100}
		}
		b := sample(load.Works()[c.work], f, nil)
		if claims := b.claims(b.works[0], subjectName); len(claims) != c.want {
			t.Errorf("%v at %s: %d claims, want %d: %v", c.peers, b.works[0].Name, len(claims), c.want, claims)
		}
	}
}

// TestTable: a row for each peer, as wide as the columns.
func TestTable(t *testing.T) {
	table := sample(first(), good(), nil).table(first())
	if len(table.Rows) != 5 {
		t.Errorf("%d rows, want 5", len(table.Rows))
	}
	for _, row := range table.Rows {
		if len(row) != len(table.Columns) {
			t.Errorf("%d cells for %d columns: %v", len(row), len(table.Columns), row)
		}
	}
}

const snmp = `Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm ActiveOpens PassiveOpens InSegs
Tcp: 1 3 7 99
Udp: InDatagrams NoPorts
Udp: 12 1
UdpLite: InDatagrams NoPorts
UdpLite: 5 5
`

func TestParseArrived(t *testing.T) {
	for protocol, want := range map[packet.Protocol]uint64{packet.TCP: 7, packet.UDP: 12} {
		if got, err := parseArrived(snmp, protocol); err != nil || got != want {
			t.Errorf("protocol %v: %d, %v; want %d", protocol, got, err, want)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "names alone": "Tcp: PassiveOpens\n", "another name": strings.Replace(snmp, "PassiveOpens", "Opens", 1),
		"a word": strings.Replace(snmp, " 7 ", " x ", 1), "cut": "Tcp: A PassiveOpens\nTcp: 1\n",
	} {
		if n, err := parseArrived(text, packet.TCP); err == nil {
			t.Errorf("%s: accepted as %d", name, n)
		}
	}
}

func TestArrivals(t *testing.T) {
	a := arrivals{5, 7, 9}.since(arrivals{5, 6, 4})
	if diff := cmp.Diff(arrivals{0, 1, 5}, a); diff != "" {
		t.Errorf("since (-want +got):\n%s", diff)
	}
	if a.reached() != 2 {
		t.Errorf("%v reached %d, want 2", a, a.reached())
	}
	sum := arrivals(nil).add(a).add(arrivals{1, 0, 0})
	if diff := cmp.Diff(arrivals{1, 1, 5}, sum); diff != "" || sum.reached() != 3 {
		t.Errorf("sum (-want +got):\n%s", diff)
	}
}
