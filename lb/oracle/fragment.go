package oracle

import "lbctl/lb"

// recallFragment gives a later fragment the flow that the first one of its packet showed.
func (d *decision) recallFragment() lb.Reason {
	f, found := d.view.Fragment(d.fragmentKey())
	switch {
	case found:
		d.flow = d.flowWith(f.Protocol, f.Source, f.Destination)
		return ok
	case d.view.IsVIP(d.destination):
		return lb.FragmentOrphan
	}
	return lb.NotOurs
}

// rememberFragment keeps what the first fragment shows.
func (d *decision) rememberFragment() {
	d.effects.Fragment = &FragmentEffect{
		Key: d.fragmentKey(),
		Ports: FragmentPorts{
			Protocol: d.protocol, Source: d.flow.Source.Port(), Destination: d.flow.Destination.Port(),
		},
	}
}

func (p parsed) fragmentKey() FragmentKey {
	k := FragmentKey{Source: p.source, Destination: p.destination, ID: p.id}
	if p.v4 {
		k.Protocol = p.protocol
	}
	return k
}
