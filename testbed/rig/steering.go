package rig

import (
	"errors"
	"fmt"

	"lbctl/bpf"
	"lbctl/bpf/load"
	"lbctl/rss"
	"lbctl/rss/nic"
)

// steering is the program that chooses a TAP's queues, loaded with a NIC's set-up.
type steering struct{ objects bpf.SteerObjects }

func loadSteering(n *nic.NIC) (*steering, error) {
	c := n.Config()
	if err := steerable(c); err != nil {
		return nil, err
	}
	spec, err := bpf.LoadSteer()
	if err != nil {
		return nil, fmt.Errorf("read steering program: %w", err)
	}
	err = errors.Join(
		spec.Variables[bpf.SteerVarRows].Set(rss.NewTables(c.Key, rss.IPv6TupleLength).Rows()),
		spec.Variables[bpf.SteerVarTcp4Ports].Set(c.TCP4 == rss.FourTuple),
		spec.Variables[bpf.SteerVarUdp4Ports].Set(c.UDP4 == rss.FourTuple),
		spec.Variables[bpf.SteerVarTcp6Ports].Set(c.TCP6 == rss.FourTuple),
		spec.Variables[bpf.SteerVarUdp6Ports].Set(c.UDP6 == rss.FourTuple),
	)
	if err != nil {
		return nil, fmt.Errorf("set up steering program: %w", err)
	}
	s := &steering{}
	if err := load.Collection(spec, &s.objects, nil); err != nil {
		return nil, fmt.Errorf("load steering program: %w", err)
	}
	if err := s.setTable(c.Table); err != nil {
		return nil, errors.Join(err, s.objects.Close())
	}
	return s, nil
}

// steerable says whether the program can do what a NIC does: Toeplitz over the 4-tuple of TCP and UDP
// or the addresses alone, and over the addresses of everything else.
func steerable(c nic.Config) error {
	if c.Function != rss.FunctionToeplitz || c.Transform != rss.NoTransform || c.Inner != 0 || c.Quirks != (nic.Quirks{}) {
		return errors.New("steer by a nic: want toeplitz, no transform, no quirk, outer headers")
	}
	for _, f := range []rss.Fields{c.TCP4, c.UDP4, c.TCP6, c.UDP6} {
		if f != rss.Addresses && f != rss.FourTuple {
			return fmt.Errorf("steer by a nic: hash fields %v of tcp or udp: want %v or %v", f, rss.Addresses, rss.FourTuple)
		}
	}
	if c.IP4 != rss.Addresses || c.IP6 != rss.Addresses {
		return fmt.Errorf("steer by a nic: hash fields %v, %v of ip: want %v", c.IP4, c.IP6, rss.Addresses)
	}
	for _, f := range []rss.Fields{c.SCTP4, c.SCTP6, c.ESP4, c.ESP6, c.AH4, c.AH6} {
		if f != 0 && f != rss.Addresses {
			return fmt.Errorf("steer by a nic: hash fields %v of sctp, esp or ah: want %v", f, rss.Addresses)
		}
	}
	return nil
}

// setTable writes the entries that are used, and then how many they are.
func (s *steering) setTable(t rss.Table) error {
	if len(t) < 1 || len(t) > rss.MaxTableSize {
		return fmt.Errorf("set indirection table: %d entries, want 1 to %d", len(t), rss.MaxTableSize)
	}
	for i, q := range t {
		if err := s.objects.Indirection.Put(uint32(i), uint32(q)); err != nil {
			return fmt.Errorf("set entry %d of the indirection table: %w", i, err)
		}
	}
	if err := s.objects.Entries.Set(uint32(len(t))); err != nil {
		return fmt.Errorf("set size of the indirection table: %w", err)
	}
	return nil
}
