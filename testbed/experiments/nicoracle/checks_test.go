package nicoracle

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/report"
	"lbctl/testbed/vm/line"
)

// failed returns the names of those that did not pass.
func failed(list []report.Check) (names []string) {
	for _, c := range list {
		if !c.Pass {
			names = append(names, c.Name)
		}
	}
	return names
}

// first returns the first observation of a kind in a set-up.
func first(all []Evidence, setup string, k Kind) *Observation {
	e := find(all, setup)
	for i := range e.Observations {
		if e.Observations[i].Kind == k {
			return &e.Observations[i]
		}
	}
	return nil
}

// A change of one thing fails the checks that are about it, and no other.
func TestChecks(t *testing.T) {
	const setup = "three queues"
	for name, c := range map[string]struct {
		change func(all []Evidence)
		fails  []string
	}{
		"as the model says": {func([]Evidence) {}, nil},
		"one packet on the next queue": {func(all []Evidence) { o := first(all, setup, TCP6); o.Queue = (o.Queue + 1) % 3 },
			[]string{QueueAsPredicted, "agrees: tcp6"}},
		"one bit of one hash": {func(all []Evidence) { first(all, setup, Options).Hash ^= 1 << 31 },
			[]string{HashAsPredicted, "agrees: ipv4 options"}},
		"its lowest bit": {func(all []Evidence) { first(all, setup, Options).Hash ^= 1 },
			[]string{HashAsPredicted, "agrees: ipv4 options"}},
		"no hash of one": {func(all []Evidence) { first(all, setup, Other).Hash = 0 },
			[]string{HashAsPredicted, "agrees: other protocol"}},
		"a hash of what is not ip": {func(all []Evidence) { first(all, setup, NotIP).Hash = 7 },
			[]string{HashAsPredicted, "agrees: not ip"}},
		"a lost one": {func(all []Evidence) { first(all, setup, UDP4).Times = 0 },
			[]string{Delivered, QueueAsPredicted, HashAsPredicted, "agrees: udp4"}},
		"one seen twice": {func(all []Evidence) { first(all, setup, HopByHop).Times = 2 },
			[]string{Delivered, QueueAsPredicted, HashAsPredicted, "agrees: ipv6 hop-by-hop"}},
		"one that was not sent":     {func(all []Evidence) { all[0].Strange = 1 }, []string{Delivered}},
		"a queue without packets":   {func(all []Evidence) { idle(&all[0], 2) }, []string{Delivered, EveryQueue, QueueAsPredicted, HashAsPredicted}},
		"a table that was not set":  {func(all []Evidence) { all[2].Settings.RSS.Table = all[1].Settings.RSS.Table }, []string{SettingsAsSet}},
		"a key that was not set":    {func(all []Evidence) { all[2].Settings.RSS.Key = all[3].Settings.RSS.Key }, []string{SettingsAsSet}},
		"fields that were not set":  {func(all []Evidence) { all[6].Settings.RSS.Fields["udp6"] = rss.FourTuple }, []string{SettingsAsSet}},
		"queues that were not set":  {func(all []Evidence) { all[4].Settings.RSS.Queues = 4 }, []string{SettingsAsSet}},
		"a driver that says little": {func(all []Evidence) { all[5].Assumed = []string{"something"} }, []string{SettingsAsSet}},
	} {
		t.Run(name, func(t *testing.T) {
			all, _ := fabricate(t, 1)
			c.change(all)
			got := failed(Checks(all))
			if name == "a queue without packets" {
				got = got[:min(4, len(got))] // and of whichever kinds there were
			}
			if diff := cmp.Diff(c.fails, got); diff != "" {
				t.Errorf("failed checks (-want +got):\n%s", diff)
			}
		})
	}
}

// idle takes all packets of a queue away.
func idle(e *Evidence, q rss.Queue) {
	for i := range e.Observations {
		if o := &e.Observations[i]; o.Queue == q {
			o.Times = 0
		}
	}
}

// Nothing sent is nothing shown.
func TestChecksOfNothingFail(t *testing.T) {
	for _, c := range Checks(nil) {
		if c.Pass {
			t.Errorf("%s passes without evidence", c.Name)
		}
	}
}

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

// fabricate returns what a run finds in which all is as the model says: the set-ups, and the one without hash.
func fabricate(t *testing.T, seed uint64) (all []Evidence, off Evidence) {
	t.Helper()
	for _, a := range setups(rand.New(rand.NewPCG(seed, 1)), minPackets, hello()) {
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
	t.Fatal("there is no set-up without hash")
	return nil, Evidence{}
}

// flipped returns a model with a key in which every byte is another.
func flipped(c nic.Config) (*nic.NIC, error) {
	c.Key = append([]byte(nil), c.Key...)
	for i := range c.Key {
		c.Key[i] ^= byte(7*i + 1)
	}
	return nic.New(c)
}

// nearly returns a model with a key of which only the end is another.
func nearly(c nic.Config) (*nic.NIC, error) {
	c.Key = append([]byte(nil), c.Key...)
	c.Key[len(c.Key)-1] ^= 0xff
	return nic.New(c)
}

// same returns the model itself: a control that is given nothing wrong must not pass.
func same(c nic.Config) (*nic.NIC, error) { return nic.New(c) }

func TestAnotherKey(t *testing.T) {
	all, _ := fabricate(t, 1)
	if c, err := anotherKey(all, flipped); err != nil || !c.Pass {
		t.Errorf("another key: %+v, %v", c, err)
	}
	if c, err := anotherKey(all, same); err != nil || c.Pass {
		t.Errorf("passes with the right key: %+v, %v", c, err)
	}
	if c, err := anotherKey(all, nearly); err != nil || c.Pass {
		t.Errorf("passes with a key that is right but for the last port bits: %+v, %v", c, err)
	}
}

func TestTableRewritten(t *testing.T) {
	control := func(change func(before, after Evidence)) report.Check {
		all, _ := fabricate(t, 1)
		before, after := find(all, beforeRewrite), find(all, afterRewrite)
		change(before, after)
		return tableRewritten(before, after)
	}
	if c := control(func(Evidence, Evidence) {}); !c.Pass {
		t.Errorf("%+v", c)
	}
	for name, change := range map[string]func(before, after Evidence){
		"not rewritten": func(before, after Evidence) { copy(after.Observations, before.Observations) },
		"another hash":  func(_, after Evidence) { after.Observations[5].Hash++ },
		"a lost packet": func(before, _ Evidence) { before.Observations[5].Times = 0 },
		"one on a third queue": func(_, after Evidence) {
			o := &after.Observations[0]
			o.Queue = (o.Queue + 1) % 4
			o = &after.Observations[1]
			o.Queue = (o.Queue + 2) % 4
		},
	} {
		if c := control(change); c.Pass {
			t.Errorf("%s: passes: %+v", name, c)
		}
	}
}

func TestFragmentsByPorts(t *testing.T) {
	all, _ := fabricate(t, 1)
	if c := fragmentsByPorts(all); !c.Pass {
		t.Errorf("%+v", c)
	}
	o := first(all, beforeRewrite, FirstFragment)
	o.Hash = find(all, beforeRewrite).Model.ClassifyFlow(o.Flow).Hash
	if c := fragmentsByPorts(all); c.Pass {
		t.Errorf("passes though a fragment was hashed by its ports: %+v", c)
	}
}

func TestHashIsOff(t *testing.T) {
	_, off := fabricate(t, 1)
	if c := hashIsOff(off); !c.Pass {
		t.Errorf("%+v", c)
	}
	off.Observations[3].Hash = 1
	if c := hashIsOff(off); c.Pass {
		t.Errorf("passes with a hash: %+v", c)
	}
}
