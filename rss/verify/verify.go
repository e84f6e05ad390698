// Package verify compares the observed packets of a NIC with a model of it: the receive queue of each
// packet, and the hash where the NIC reports it. It reports which classes of packets disagree, with
// examples, and whether the agreement could be chance.
package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbctl/rss"
	"lbctl/rss/ethtool"
	"lbctl/rss/observe"
	"lbctl/rss/packet"
)

// Observation is one packet, or several of one flow with the same queue and hash.
type Observation struct {
	// Frame is the beginning of the packet, from its Ethernet header on; nil where only the Flow is known.
	Frame []byte
	// Flow is the flow of the packets, if there is no Frame. They have no options, extensions or tags.
	Flow  packet.Flow
	Queue rss.Queue
	// CPUs are the cores that processed them, where that is known.
	CPUs []int
	// Hash is the NIC's, if Hashed.
	Hash    uint32
	Hashed  bool
	Packets uint64
}

// OfSample returns a sample as an observation of one packet.
func OfSample(s observe.Sample) Observation {
	return Observation{Frame: s.Frame, Queue: s.Queue, CPUs: []int{s.CPU}, Hash: s.Hash, Hashed: s.Hashed, Packets: 1}
}

// OfSighting returns a sighting as an observation.
func OfSighting(s observe.Sighting) Observation {
	return Observation{Flow: s.Flow, Queue: s.Queue, CPUs: s.CPUs, Hash: s.Hash, Hashed: s.Hashed, Packets: s.Packets}
}

// tick is the time between two readings of the totals.
const tick = 100 * time.Millisecond

// Watch compares the packets of an observer until the context ends, or at least this many packets
// have come (0: no limit), then detaches the observer. progress, if not nil, is called with the totals
// from time to time. The end of the context is no error. Watch returns the last totals; NoFlow and
// TableFull are packets that were not compared.
func (v *Verifier) Watch(ctx context.Context, o *observe.Observer, packets uint64, progress func(observe.Totals)) (observe.Totals, error) {
	for ctx.Err() == nil {
		if err := v.take(o, time.Now().Add(tick)); err != nil {
			return observe.Totals{}, err
		}
		t, err := o.Totals()
		if err != nil {
			return observe.Totals{}, err
		}
		if progress != nil {
			progress(t)
		}
		if packets > 0 && t.All() >= packets {
			break
		}
	}
	return v.finish(o)
}

// finish ends the observation and compares the remaining samples and the flows.
func (v *Verifier) finish(o *observe.Observer) (observe.Totals, error) {
	if err := o.Detach(); err != nil {
		return observe.Totals{}, fmt.Errorf("end the observation: %w", err)
	}
	if err := v.take(o, time.Now()); err != nil {
		return observe.Totals{}, err
	}
	sightings, err := o.Sightings()
	if err != nil {
		return observe.Totals{}, err
	}
	for _, s := range sightings {
		v.Add(OfSighting(s))
	}
	return o.Totals()
}

// take compares samples until the deadline, at most a full buffer of them.
func (v *Verifier) take(o *observe.Observer, by time.Time) error {
	for range observe.DefaultSamples / observe.MaxSample {
		s, err := o.Sample(by)
		if errors.Is(err, observe.ErrNoSample) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.Recorded {
			v.Remember(OfSample(s))
		} else {
			v.Add(OfSample(s))
		}
	}
	return nil
}

// ChooseMode returns the mode to observe an interface in, on a kernel of this release (uname -r). It avoids native mode
// where that would switch RSS off, unless native was requested. The notes say why.
func ChooseMode(requested observe.Mode, s ethtool.Settings, release string) (observe.Mode, []string) {
	if !forgetsRSS(s, release) {
		return requested, nil
	}
	const why = "attaching native XDP makes a virtio_net NIC forget RSS until it is set again (Linux before 6.13)"
	switch requested {
	case observe.Auto:
		return observe.Generic, []string{"not native: " + why}
	case observe.Native:
		return requested, []string{why + ": set it again after this, with lbctl rss set"}
	}
	return requested, nil
}

// forgetsRSS tells whether native XDP switches RSS off in the device. virtio_net sets the number of
// queue pairs on attaching, and on detaching, by VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, which ends RSS in the device
// (virtio 1.2 section 5.1.6.5.6); from Linux 6.13 on by the RSS command
// (50bfcaedd78e, "virtio_net: Update rss when set queue"). Seen with Linux 6.1 on QEMU 7.2.
func forgetsRSS(s ethtool.Settings, release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return s.Driver == "virtio_net" && s.HasRSS() && (major < 6 || major == 6 && minor < 13)
}
