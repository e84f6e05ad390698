package peers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss/packet"
)

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
