package nicoracle

import (
	"math/rand/v2"
	"testing"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/packet"
	"lbctl/testbed/vm/line"
)

// hello is that of a NIC like virtio-net.
func hello() line.Hello {
	return line.Hello{MAC: packet.MAC{0x52, 5: 1}, Settings: line.Settings{RSS: ethtool.Settings{
		Driver: "virtio_net", Key: make(rss.Key, 40), Table: make(rss.Table, 128),
	}}}
}

// obey is what a driver says that did what it was told.
func obey(t *testing.T, c line.Change) line.Settings {
	t.Helper()
	table, err := c.RSS.Table.Build(128, c.Queues)
	if err != nil {
		t.Fatal(err)
	}
	s := line.Settings{Hash: c.Hash, RSS: ethtool.Settings{
		Queues: c.Queues, Key: c.RSS.Key, Table: table, Functions: []rss.Function{rss.FunctionToeplitz},
		Fields: map[ethtool.FlowType]rss.Fields{ethtool.IP4: rss.Addresses, ethtool.IP6: rss.Addresses},
	}}
	for _, f := range c.RSS.Fields {
		s.RSS.Fields[f.Type] = f.Fields
	}
	return s
}

// fabricate returns what a run finds in which all is as the model says: the arms, and the one without hash.
func fabricate(t *testing.T, seed uint64) (all []Evidence, off Evidence) {
	t.Helper()
	for _, a := range arms(rand.New(rand.NewPCG(seed, 1)), minPackets, hello()) {
		settings := obey(t, a.Change)
		e, err := newEvidence(a, settings, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range e.Observations {
			p := e.byModel(o.Frame)
			if !a.Change.Hash {
				p.Queue, p.Hash = 0, 0
			}
			e.Observations[i].Times, e.Observations[i].Queue, e.Observations[i].Hash = 1, p.Queue, p.Hash
		}
		if a.Name == hashOff {
			return all, e
		}
		all = append(all, e)
	}
	t.Fatal("there is no arm without hash")
	return nil, Evidence{}
}
