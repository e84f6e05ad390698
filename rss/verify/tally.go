package verify

import (
	"fmt"
	"slices"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// tally counts the packets of a class.
type tally struct {
	packets, queueAgreed     uint64
	hashCompared, hashAgreed uint64
	// alternatives counts the packets that agree with each alternative model.
	alternatives []uint64
	examples     []Example
}

// maxExamples is the most examples of a class.
const maxExamples = 3

// example keeps an example, at most one for each flow and queue.
func (v *Verifier) example(t *tally, key flowKey, o Observation, want nic.Result) {
	for i := range t.examples {
		if e := &t.examples[i]; e.key == key && e.Queue == o.Queue {
			e.Packets += o.Packets
			return
		}
	}
	if len(t.examples) == maxExamples {
		return
	}
	frame := o.Frame
	if frame == nil {
		frame = v.frames[key]
	}
	e := Example{
		key: key, Flow: want.Flow.String(), Packets: o.Packets, Frame: fmt.Sprintf("%x", frame),
		Queue: o.Queue, WantQueue: want.Queue, WantFields: want.Fields.String(),
	}
	if !want.Flow.Source.IsValid() {
		e.Flow = ""
	}
	if o.Hashed {
		e.Hash = fmt.Sprintf("0x%08x", o.Hash)
	}
	if want.Hashed {
		e.WantHash = fmt.Sprintf("0x%08x", want.Hash)
	}
	t.examples = append(t.examples, e)
}

// alternative is a model with other hash fields than the one that is verified.
type alternative struct {
	fields rss.Fields
	nic    *nic.NIC
}

// alternatives returns models that hash the addresses, the 4-tuple, or nothing of all packets.
func alternatives(c nic.Config) ([]alternative, error) {
	var all []alternative
	for _, fields := range []rss.Fields{rss.Addresses, rss.FourTuple, 0} {
		other := c
		other.Key, other.Table = slices.Clone(c.Key), slices.Clone(c.Table)
		for _, n := range other.FieldSets() {
			*n.Fields = fields
		}
		other.IP4, other.IP6 = fields&rss.Addresses, fields&rss.Addresses
		n, err := nic.New(other)
		if err != nil {
			return nil, err
		}
		all = append(all, alternative{fields, n})
	}
	return all, nil
}
