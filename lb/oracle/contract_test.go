package oracle_test

import (
	"errors"
	"os"
	"testing"

	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/oracle"
	"lbctl/rss"
)

func TestContract(t *testing.T) { contract.Run(t, contract.Oracle) }

// TestDefaults: the zero Config has the limits and key that its doc comment says, and no routes.
func TestDefaults(t *testing.T) {
	m := oracle.New(oracle.Config{})
	s := service()
	if err := m.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	e, err := m.Explain(lb.Probe{Flow: flow})
	if err != nil || e.Reason != lb.NoRoute || e.Hash != oracle.Hash(s, rss.MicrosoftKey(), flow) {
		t.Errorf("explain: %+v, %v", e, err)
	}
}

// TestClosed: a handle is of no use after Close, but its frames go on, and so does another handle.
func TestClosed(t *testing.T) {
	m := oracle.New(oracle.Config{})
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Services(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("services: %v", err)
	}
	if err := m.RemoveService(t.Context(), lb.VIP{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("remove service: %v", err)
	}
	m.Process(1, nil)
	c, err := m.Reopen().Counters()
	if err != nil || c.Reasons[lb.MalformedEthernet] != (lb.Count{Packets: 1}) {
		t.Errorf("counters: %+v, %v", c, err)
	}
}

// TestExplainNoFlow: flows that no packet has.
func TestExplainNoFlow(t *testing.T) {
	m := oracle.New(oracle.Config{})
	for _, p := range probesOfNothing() {
		if _, err := m.Explain(p); !errors.Is(err, lb.ErrInvalid) {
			t.Errorf("explain %v: error %v, want %v", p.Flow, err, lb.ErrInvalid)
		}
	}
	icmp := flow
	icmp.Protocol = 1
	if e, err := m.Explain(lb.Probe{Flow: icmp}); err != nil || e.Reason != lb.NotTCPUDP {
		t.Errorf("explain icmp: %+v, %v", e, err)
	}
}
