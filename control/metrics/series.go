package metrics

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// series writes the counters of packets, and the series of services and replicas, in the text format of Prometheus.
type series struct {
	labels   Labels
	now      *engine.Snapshot
	at       time.Time
	intent   intent.Intent // as it is wanted now
	counters lb.Counters
	flows    map[lb.VIP]lb.Flows
	out      *bufio.Writer
	line     []byte
}

func (s *series) write(w io.Writer) {
	s.out = bufio.NewWriterSize(w, 1<<16)
	s.reasons()
	s.losses()
	s.capacity()
	if s.labels.Service {
		s.services()
	}
	if s.labels.Replica {
		s.replicas()
	}
	_ = s.out.Flush() // the client is gone, or too slow; there is nobody else to tell
}

func (s *series) reasons() {
	each := func(name, help string, value func(lb.Count) uint64) {
		s.family(name, "counter", help)
		for _, reason := range slices.Sorted(maps.Keys(s.counters.Reasons)) {
			s.open(name)
			s.label("reason", string(reason))
			s.end(value(s.counters.Reasons[reason]))
		}
	}
	each("packets_total", "Packets seen, by the reason of their verdict.", func(n lb.Count) uint64 { return n.Packets })
	each("bytes_total", "Bytes seen, Ethernet header included, by the reason of their verdict.", func(n lb.Count) uint64 { return n.Bytes })
}

func (s *series) losses() {
	if s.counters.LossesUnknown != "" {
		return
	}
	const name = "lost_packets_total"
	s.family(name, "counter", "Packets lost after their verdict, by the interface that they should have left by and by cause: redirect (it does not take them), transmit, tx (its driver does not send them).")
	for _, l := range s.counters.Losses {
		s.open(name)
		s.label("interface", escape.Replace(l.Interface))
		s.label("cause", string(l.Cause))
		s.end(l.Packets)
	}
}

// escape is for values of labels that may have any letter: names of interfaces.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// capacity writes how full the tables are.
func (s *series) capacity() {
	limits := s.intent.Datapath.Limits
	s.tables("table_max_entries", "The capacities of the datapath, by table: datapath.limits.", use{limits, limits.Flows / 4})
	s.tables("table_entries", "How much of each table the intent and recorded flows need. For a moment after a change the datapath uses more.", s.use())
}

// use is how many entries of tables there are, or can be.
type use struct {
	lb.Limits
	halfOpen uint32
}

// tables writes a line for each table. Without services flows are not counted.
func (s *series) tables(name, help string, n use) {
	s.family(name, "gauge", help)
	all := []struct {
		table   string
		entries uint32
	}{{"services", n.Services}, {"replicas", n.Replicas}, {"slots", n.Slots}, {"flows", n.Flows}, {"half_open_flows", n.halfOpen}}
	if s.flows == nil {
		all = all[:3]
	}
	for _, t := range all {
		s.open(name)
		s.label("table", t.table)
		s.end(uint64(t.entries))
	}
}

func (s *series) use() (n use) {
	for _, v := range s.intent.Services {
		n.Services++
		n.Replicas += uint32(len(v.Replicas))
		n.Slots += v.Slots()
		for _, r := range s.flows[v.VIP].Replicas {
			n.Flows += uint32(r.Established)
			n.halfOpen += uint32(r.HalfOpen)
		}
	}
	return n
}

func (s *series) services() {
	s.family("service_info", "gauge", "1; the VIP and protocol of a service.")
	for _, v := range s.intent.Services {
		s.begin("service_info", v.VIP, v.Name, Labels{Service: true, VIP: true, Protocol: true}, netip.AddrPort{})
		s.end(1)
	}
	each := func(name, kind, help string, value func(*intent.Service) uint64) {
		s.family(name, kind, help)
		for _, v := range s.intent.Services {
			s.begin(name, v.VIP, v.Name, s.labels, netip.AddrPort{})
			s.end(value(v))
		}
	}
	each("service_packets_total", "counter", "Packets forwarded, by service.", func(v *intent.Service) uint64 { return s.counters.Services[v.VIP].Packets })
	each("service_bytes_total", "counter", "Bytes forwarded, by service.", func(v *intent.Service) uint64 { return s.counters.Services[v.VIP].Bytes })
	each("service_slots_in_transition", "gauge", "Slots whose owner changed and whose flows from before may still be with the previous owner.",
		func(v *intent.Service) uint64 { return uint64(s.flows[v.VIP].InTransition) })
	s.family("service_replicas", "gauge", "Replicas of a service, by state: active, draining or down.")
	for _, v := range s.intent.Services {
		for _, state := range []lb.ReplicaState{lb.Active, lb.Draining, lb.Down} {
			n := 0
			for _, r := range v.Replicas {
				if r.State == state {
					n++
				}
			}
			s.begin("service_replicas", v.VIP, v.Name, s.labels, netip.AddrPort{})
			s.label("state", state.String())
			s.end(uint64(n))
		}
	}
}

// replicas writes what is said of every replica, and then what is said only of those of which it is not the usual.
func (s *series) replicas() {
	s.each("replica_packets_total", "counter", "Packets forwarded, by replica.", "", func(v *intent.Service, r lb.Replica) (uint64, bool) {
		return s.counters.Replicas[v.VIP][r.Address].Packets, true
	})
	s.each("replica_bytes_total", "counter", "Bytes forwarded, by replica.", "", func(v *intent.Service, r lb.Replica) (uint64, bool) {
		return s.counters.Replicas[v.VIP][r.Address].Bytes, true
	})
	s.each("replica_new_flows_total", "counter", "Packets that begin a flow and were given to the replica: in TCP each SYN; in UDP, with tracking always, those whose flow was not recorded.", "", func(v *intent.Service, r lb.Replica) (uint64, bool) {
		return s.counters.Flows[v.VIP][r.Address].Begun, true
	})
	s.each("replica_resets_total", "counter", "Answers with RST; of replicas in mode nat.", "", func(v *intent.Service, r lb.Replica) (uint64, bool) {
		return s.counters.Flows[v.VIP][r.Address].Resets, v.Mode == lb.NAT && v.VIP.Protocol == packet.TCP
	})
	s.each("replica_refusals_total", "counter", "Answers with RST to a SYN: connections refused; of replicas in mode nat.", "", func(v *intent.Service, r lb.Replica) (uint64, bool) {
		return s.counters.Flows[v.VIP][r.Address].Refusals, v.Mode == lb.NAT && v.VIP.Protocol == packet.TCP
	})
	s.shares()
	s.each("replica_weight", "gauge", "The weight of a replica; of those that have another than 1.", "", func(_ *intent.Service, r lb.Replica) (uint64, bool) {
		return uint64(r.Weight), r.Weight != 1
	})
	const flows = "Recorded flows, by replica: established, or half_open: only the first packet has come; of replicas that have any."
	s.each("replica_flows", "gauge", flows, "established", func(v *intent.Service, r lb.Replica) (uint64, bool) {
		n := s.flows[v.VIP].Replicas[r.Address].Established
		return n, n > 0
	})
	s.each("replica_flows", "", "", "half_open", func(v *intent.Service, r lb.Replica) (uint64, bool) {
		n := s.flows[v.VIP].Replicas[r.Address].HalfOpen
		return n, n > 0
	})
	s.each("replica_old_flow_slots", "gauge", "Slots in transition whose old flows go to the replica; of replicas that have any.", "",
		func(v *intent.Service, r lb.Replica) (uint64, bool) {
			n := s.flows[v.VIP].Replicas[r.Address].OldFlowSlots
			return uint64(n), n > 0
		})
	s.each("replica_state", "gauge", "1 for the state of a replica that is draining or down; all others are active.", "draining",
		func(_ *intent.Service, r lb.Replica) (uint64, bool) { return 1, r.State == lb.Draining })
	s.each("replica_state", "", "", "down", func(_ *intent.Service, r lb.Replica) (uint64, bool) { return 1, r.State == lb.Down })
	s.each("replica_healthy", "gauge", "0 for a replica that checks have found unhealthy, 1 for every other one that is checked.", "", func(v *intent.Service, r lb.Replica) (uint64, bool) {
		h, checked := s.now.Health(engine.Endpoint{VIP: v.VIP, Replica: r.Address})
		if h.Status == engine.Unhealthy {
			return 0, checked
		}
		return 1, checked
	})
	s.each("replica_safe_to_remove", "gauge", "1 when, as far as is known, a replica has no flow left; of those that are draining or down.", "",
		func(v *intent.Service, r lb.Replica) (uint64, bool) {
			f, known := s.flows[v.VIP].Replicas[r.Address]
			if known && f.None() {
				return 1, r.State != lb.Active
			}
			return 0, r.State != lb.Active
		})
	s.each("replica_drain_deadline_timestamp_seconds", "gauge", "When a draining replica is set down, in seconds since 1970; of those that have a deadline.", "",
		func(v *intent.Service, r lb.Replica) (uint64, bool) {
			deadline, has := v.Deadlines[r.Address]
			return uint64(deadline.Unix()), has
		})
}

// shares writes what part of a service's new flows a replica is to get: by weights with Maglev, else by their number.
func (s *series) shares() {
	const name = "replica_wanted_ratio"
	s.family(name, "gauge", "The share of a service's new flows that a replica is to get, by its weight, its state and how far it has started: 0 to 1. What it gets is the ratio of the rates of replica_packets_total and service_packets_total.")
	for _, v := range s.intent.Services {
		all := 0.0
		for _, r := range v.Replicas {
			all += s.part(v, r)
		}
		for _, r := range v.Replicas {
			s.begin(name, v.VIP, v.Name, s.labels, r.Address)
			s.endFloat(s.part(v, r) / max(all, 1))
		}
	}
}

// part is in what proportion a replica is given flows.
func (s *series) part(v *intent.Service, r lb.Replica) float64 {
	switch {
	case r.State != lb.Active:
		return 0
	case v.Scheduler == lb.Maglev:
		return float64(int64(r.Weight) * s.now.Share(*v, r.Address, s.at))
	}
	return 1
}

// each writes a family: a line for every replica of which value says so. A family of several states has one call for each; the
// first describes it.
func (s *series) each(name, kind, help, state string, value func(*intent.Service, lb.Replica) (uint64, bool)) {
	if kind != "" {
		s.family(name, kind, help)
	}
	for _, v := range s.intent.Services {
		for _, r := range v.Replicas {
			if n, told := value(v, r); told {
				s.begin(name, v.VIP, v.Name, s.labels, r.Address)
				if state != "" {
					s.label("state", state)
				}
				s.end(n)
			}
		}
	}
}

func (s *series) family(name, kind, help string) {
	fmt.Fprintf(s.out, "# HELP lbctl_%s %s\n# TYPE lbctl_%s %s\n", name, help, name, kind)
}

// open begins a line, before its labels.
func (s *series) open(name string) {
	s.line = append(append(append(s.line[:0], "lbctl_"...), name...), '{')
}

// begin begins a line, up to its labels. No value of theirs needs an escape.
func (s *series) begin(name string, vip lb.VIP, service string, l Labels, replica netip.AddrPort) {
	s.open(name)
	if l.Protocol {
		s.label("protocol", vip.Protocol.String())
	}
	if replica.IsValid() {
		s.line = append(append(append(s.line, `replica="`...), replica.String()...), `",`...)
	}
	s.label("service", service)
	if l.VIP {
		s.label("vip", vip.Address.String())
	}
}

func (s *series) label(name, value string) {
	s.line = append(append(append(append(s.line, name...), `="`...), value...), `",`...)
}

func (s *series) end(value uint64) {
	s.line[len(s.line)-1] = '}'
	s.line = append(s.line, ' ')
	s.line = append(strconv.AppendUint(s.line, value, 10), '\n')
	_, _ = s.out.Write(s.line) // the buffer keeps its first error
}

// endFloat is end for a number of at most six digits.
func (s *series) endFloat(value float64) {
	s.line[len(s.line)-1] = '}'
	s.line = append(strconv.AppendFloat(append(s.line, ' '), value, 'g', 6, 64), '\n')
	_, _ = s.out.Write(s.line)
}
