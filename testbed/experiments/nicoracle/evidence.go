package nicoracle

import (
	"fmt"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/testbed/experiment"
	"lbctl/testbed/vm/line"
)

// Observation is what became of one frame.
type Observation struct {
	Frame
	// Times is how often the guest saw it: once, if all is well.
	Times int
	Queue rss.Queue
	// Hash is what the NIC reported, 0 without one.
	Hash uint32
}

// Evidence is what one set-up left.
type Evidence struct {
	Setup Setup
	// Settings are what the driver reports after the change.
	Settings line.Settings
	// Config is the set-up of the model, and Model the model, made from Settings alone.
	Config nic.Config
	Model  *nic.NIC
	// Assumed is what the driver did not say.
	Assumed      []string
	Observations []Observation
	// Strange is how many sightings have a tag that no frame has.
	Strange int
}

// newEvidence puts together what was sent and what was seen.
func newEvidence(a Setup, settings line.Settings, seen []line.Sighting) (Evidence, error) {
	e := Evidence{Setup: a, Settings: settings, Observations: make([]Observation, len(a.Frames))}
	var err error
	if e.Config, e.Assumed, err = settings.RSS.Model(); err != nil {
		return e, err
	}
	if e.Model, err = nic.New(e.Config); err != nil {
		return e, fmt.Errorf("%s: %w", a.Name, err)
	}
	for i, f := range a.Frames {
		e.Observations[i].Frame = f
	}
	for _, s := range seen {
		if int(s.Tag) >= len(e.Observations) {
			e.Strange++
			continue
		}
		o := &e.Observations[s.Tag]
		o.Times++
		o.Queue, o.Hash = s.Queue, s.Hash
	}
	return e, nil
}

// predictor names the queue and the hash of a frame.
type predictor func(Frame) nic.Result

// byModel is the model itself.
func (e Evidence) byModel(f Frame) nic.Result { return e.Model.Classify(f.Bytes) }

// agree counts the frames that want picks, and those of them that the guest saw once and with queue, hash or both as
// predicted.
func (e Evidence) agree(predict predictor, want func(Frame) bool) (t tally) {
	for _, o := range e.Observations {
		if !want(o.Frame) {
			continue
		}
		t.sent++
		if o.Times != 1 {
			continue
		}
		p := predict(o.Frame)
		t.queue += experiment.One(p.Queue == o.Queue)
		t.hash += experiment.One(p.Hash == o.Hash)
		t.both += experiment.One(p.Queue == o.Queue && p.Hash == o.Hash)
	}
	return t
}

// tally counts frames: those sent, and those of them that were seen once, on the queue, with the
// hash, and with both, that were predicted.
type tally struct{ sent, queue, hash, both int }

func (t tally) plus(o tally) tally {
	return tally{t.sent + o.sent, t.queue + o.queue, t.hash + o.hash, t.both + o.both}
}

func anyKind(Frame) bool { return true }

func only(k Kind) func(Frame) bool { return func(f Frame) bool { return f.Kind == k } }
