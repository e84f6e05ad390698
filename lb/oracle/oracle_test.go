package oracle_test

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// What becomes of packets, flows and services is tested by the contract, as of every Dataplane. The other tests
// here are of what the contract cannot see.
func TestContract(t *testing.T) { contract.Run(t, contract.Oracle) }

func TestContractRejecting(t *testing.T) { contract.RunRejecting(t, contract.OracleRejecting) }

// flow goes to the VIP of service.
var flow = packet.Flow{
	Source:      netip.MustParseAddrPort("198.51.100.1:40000"),
	Destination: netip.MustParseAddrPort("192.0.2.1:80"),
	Protocol:    packet.TCP,
}

// service is a valid service with one replica and the defaults.
func service(mode lb.Mode) lb.Service {
	return lb.Service{
		VIP: lb.VIP{Address: flow.Destination, Protocol: packet.TCP}, Scheduler: lb.Maglev, Hash: lb.ToeplitzHash, Mode: mode,
		Replicas: []lb.Replica{{Address: netip.MustParseAddrPort("10.0.0.1:80")}},
	}.WithDefaults()
}

// TestDefaults: the zero Config has the limits and key that its doc comment says, and no routes.
func TestDefaults(t *testing.T) {
	m := oracle.New(oracle.Config{})
	s := service(lb.NAT)
	if err := m.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	e, err := m.Explain(lb.Probe{Flow: flow})
	if err != nil || e.Reason != lb.NoRoute || e.Hash != oracle.Hash(s, rss.MicrosoftKey(), flow) {
		t.Errorf("explain: %+v, %v", e, err)
	}
}

// everywhere has one route to all addresses.
type everywhere struct{ mtu int }

func (e everywhere) Route(netip.Addr) (oracle.Route, bool) {
	return oracle.Route{Interface: "eth0", Index: 2, MTU: e.mtu, Neighbour: lb.MAC{2, 1}}, true
}

// TestTooShortToQuote: a packet too big for its route, but shorter than what would be quoted of it, is not
// answered. No link of a kernel has such a small MTU.
func TestTooShortToQuote(t *testing.T) {
	m := oracle.New(oracle.Config{Routes: everywhere{mtu: 67}})
	if err := m.SetService(t.Context(), service(lb.DSR)); err != nil {
		t.Fatal(err)
	}
	p := contract.Packet{Flow: flow, TTL: 9, DontFragment: true}
	for payload, want := range map[int]lb.Reason{27: lb.Forwarded, 28: lb.TooBigAnswered} {
		p.Payload = make([]byte, payload)
		if v := m.Process(1, p.Frame()); v.Reason != want {
			t.Errorf("%d bytes: %v, want %v", 40+payload, v.Reason, want)
		}
	}
	m = oracle.New(oracle.Config{Routes: everywhere{mtu: 30}})
	if err := m.SetService(t.Context(), service(lb.DSR)); err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[int]lb.Reason{27: lb.TooBig, 28: lb.TooBigAnswered} {
		p.Payload = make([]byte, payload)
		if v := m.Process(1, p.Frame()); v.Reason != want {
			t.Errorf("%d bytes, MTU 30: %v, want %v", 40+payload, v.Reason, want)
		}
	}
}
