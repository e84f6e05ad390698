package verify

import (
	"slices"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// Verifier compares observations with a model. It is for one goroutine; New makes one.
type Verifier struct {
	model        *nic.NIC
	alternatives []alternative
	classes      map[Class]*tally
	queues       map[rss.Queue]*queueTally
	flows        map[flowKey]flowState
	frames       map[flowKey][]byte
}

// maxFlows is the most flows that are counted. The packets of further flows are compared,
// but not included in Flows.
const maxFlows = 1 << 16

// flowKey identifies packets that a NIC must send to one queue.
type flowKey struct {
	class Class
	flow  packet.Flow
}

// flowState is the queue of a flow's first packets, and the model's.
type flowState struct {
	seen, want rss.Queue
	hashed     bool
	// split is true when it came on another queue as well.
	split bool
}

// queueTally counts the packets of a queue.
type queueTally struct {
	packets, expected uint64
	cpus              []int
}

// New returns a verifier without observations.
func New(model *nic.NIC) (*Verifier, error) {
	others, err := alternatives(model.Config())
	if err != nil {
		return nil, err
	}
	return &Verifier{
		model: model, alternatives: others,
		classes: map[Class]*tally{}, queues: map[rss.Queue]*queueTally{},
		flows: map[flowKey]flowState{}, frames: map[flowKey][]byte{},
	}, nil
}

// NeedsFrames tells whether the model hashes fields that are not in the flow, so that the frame of every
// packet is needed (observe.Options.EveryPacket).
func (v *Verifier) NeedsFrames() bool {
	c := v.model.Config()
	return c.Inner != 0 || (c.TCP6|c.UDP6)&rss.FlowLabel != 0
}

// Add compares packets with the model.
func (v *Verifier) Add(o Observation) {
	class, want := v.predict(v.model, o)
	t := v.tally(class)
	t.packets += o.Packets
	v.count(o, want)
	key := flowKey{class, want.Flow}
	v.follow(key, o, want)
	wrong := o.Queue != want.Queue
	if !wrong {
		t.queueAgreed += o.Packets
	}
	if o.Hashed {
		t.hashCompared += o.Packets
		if want.Hashed && o.Hash == want.Hash {
			t.hashAgreed += o.Packets
		} else {
			wrong = true
		}
	}
	for i, a := range v.alternatives {
		if _, other := v.predict(a.nic, o); other.Queue == o.Queue {
			t.alternatives[i] += o.Packets
		}
	}
	if wrong {
		v.example(t, key, o, want)
	}
}

// Remember keeps the frame of a packet that a later Observation will count by its flow, as an example in case it
// disagrees.
func (v *Verifier) Remember(o Observation) {
	class, want := v.predict(v.model, o)
	agrees := o.Queue == want.Queue && (!o.Hashed || o.Hash == want.Hash)
	if agrees || len(v.frames) >= maxExamples*len(Classes()) {
		return
	}
	v.frames[flowKey{class, want.Flow}] = slices.Clone(o.Frame)
}

// predict returns the class of an observation and the model's result for it.
func (v *Verifier) predict(n *nic.NIC, o Observation) (Class, nic.Result) {
	if o.Frame == nil {
		return classOfFlow(o.Flow), n.ClassifyFlow(o.Flow)
	}
	return ClassOf(o.Frame), n.Classify(o.Frame)
}

func (v *Verifier) tally(c Class) *tally {
	t := v.classes[c]
	if t == nil {
		t = &tally{alternatives: make([]uint64, len(v.alternatives))}
		v.classes[c] = t
	}
	return t
}

// count counts packets under the queue they came on, and under the one they were expected on.
func (v *Verifier) count(o Observation, want nic.Result) {
	q := v.queue(o.Queue)
	q.packets += o.Packets
	for _, cpu := range o.CPUs {
		if at, found := slices.BinarySearch(q.cpus, cpu); !found {
			q.cpus = slices.Insert(q.cpus, at, cpu)
		}
	}
	v.queue(want.Queue).expected += o.Packets
}

func (v *Verifier) queue(q rss.Queue) *queueTally {
	if v.queues[q] == nil {
		v.queues[q] = &queueTally{}
	}
	return v.queues[q]
}

// follow records the queue of a flow.
func (v *Verifier) follow(key flowKey, o Observation, want nic.Result) {
	state, known := v.flows[key]
	switch {
	case !known && len(v.flows) < maxFlows:
		v.flows[key] = flowState{seen: o.Queue, want: want.Queue, hashed: want.Hashed}
	case known && state.seen != o.Queue:
		state.split = true
		v.flows[key] = state
	}
}
