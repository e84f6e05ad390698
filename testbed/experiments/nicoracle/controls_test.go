package nicoracle

import (
	"testing"

	"lbctl/rss/nic"
	"lbctl/testbed/report"
)

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
