package verify

import (
	"cmp"
	"maps"
	"slices"

	"lbctl/rss"
)

// Verdict is the result of a comparison.
type Verdict string

// The verdicts.
const (
	// Nothing was compared.
	Nothing Verdict = "nothing"
	// Agrees: every packet agrees with the model.
	Agrees Verdict = "agrees"
	// Disagrees: some packets do not.
	Disagrees Verdict = "disagrees"
	// Chance: no more flows agree than would with any model.
	Chance Verdict = "chance"
)

// Agreement counts packets.
type Agreement struct {
	Compared uint64 `json:"compared"`
	Agreed   uint64 `json:"agreed"`
}

// Share returns the share that agreed, 0 to 1; 0 when nothing was compared.
func (a Agreement) Share() float64 {
	if a.Compared == 0 {
		return 0
	}
	return float64(a.Agreed) / float64(a.Compared)
}

// complete tells whether all agreed.
func (a Agreement) complete() bool { return a.Agreed == a.Compared }

func (a *Agreement) add(b Agreement) { a.Compared += b.Compared; a.Agreed += b.Agreed }

// Report is the outcome. Scripts rely on its JSON names.
type Report struct {
	Verdict Verdict `json:"verdict"`
	// Words says the verdict in sentences.
	Words   []string `json:"words"`
	Packets uint64   `json:"packets"`
	// Queue is over all packets, Hash over those with a hash from the NIC.
	Queue Agreement `json:"queue_agreement"`
	Hash  Agreement `json:"hash_agreement"`
	Flows Flows     `json:"flow_agreement"`
	// Classes are the classes that were observed, in the order of Classes.
	Classes []ClassReport `json:"classes"`
	Queues  []QueueReport `json:"queues"`
}

// Flows counts flows, whatever their number of packets.
type Flows struct {
	Seen int `json:"flows"`
	// Hashed are the flows that the model hashes; Agreed are those of them whose first packets came on the model's queue.
	Hashed int `json:"hashed"`
	Agreed int `json:"agreed"`
	// Split are the flows that came on several queues.
	Split int `json:"split"`
	// Chance is the share of flows that would agree if queues did not depend on the model.
	Chance float64 `json:"chance"`
}

// ClassReport is the outcome for a class.
type ClassReport struct {
	Class Class     `json:"class"`
	Queue Agreement `json:"queue_agreement"`
	Hash  Agreement `json:"hash_agreement"`
	// Explained are other hash fields, of a class that disagrees, with which all its packets would agree; empty if there are
	// none.
	Explained string    `json:"explained_by_fields,omitempty"`
	Examples  []Example `json:"examples,omitempty"`
}

// Example is the packets of a flow that disagree.
type Example struct {
	key flowKey
	// Flow is empty for packets that are not IP.
	Flow    string `json:"flow_text,omitempty"`
	Packets uint64 `json:"packets"`
	// Hash is the NIC's, WantHash the model's over WantFields.
	Queue      rss.Queue `json:"queue"`
	WantQueue  rss.Queue `json:"want_queue"`
	Hash       string    `json:"hash,omitempty"`
	WantHash   string    `json:"want_hash,omitempty"`
	WantFields string    `json:"want_fields"`
	// Frame is the beginning of one of the packets, in hexadecimal, where it was kept.
	Frame string `json:"frame,omitempty"`
}

// QueueReport is the packets of a queue.
type QueueReport struct {
	Queue   rss.Queue `json:"queue"`
	Packets uint64    `json:"packets"`
	// Expected is the number of packets that the model sends there.
	Expected uint64 `json:"expected"`
	CPUs     []int  `json:"seen_on_cores"`
}

// Report returns the outcome for the observations added so far.
func (v *Verifier) Report() Report {
	r := Report{Classes: []ClassReport{}, Queues: []QueueReport{}, Flows: v.flowReport()}
	for _, class := range Classes() {
		if t := v.classes[class]; t != nil {
			c := v.classReport(class, t)
			r.Packets += t.packets
			r.Queue.add(c.Queue)
			r.Hash.add(c.Hash)
			r.Classes = append(r.Classes, c)
		}
	}
	for _, q := range slices.Sorted(maps.Keys(v.queues)) {
		t := v.queues[q]
		r.Queues = append(r.Queues, QueueReport{q, t.packets, t.expected, slices.Clone(t.cpus)})
	}
	r.judge()
	return r
}

func (v *Verifier) classReport(class Class, t *tally) ClassReport {
	c := ClassReport{
		Class: class, Queue: Agreement{t.packets, t.queueAgreed}, Hash: Agreement{t.hashCompared, t.hashAgreed},
		Examples: slices.Clone(t.examples),
	}
	if c.Queue.complete() {
		return c
	}
	slices.SortStableFunc(c.Examples, func(a, b Example) int { return cmp.Compare(b.Packets, a.Packets) })
	for i, a := range v.alternatives {
		if t.alternatives[i] == t.packets {
			c.Explained = a.fields.String()
		}
	}
	return c
}

// flowReport counts flows.
func (v *Verifier) flowReport() Flows {
	f := Flows{Seen: len(v.flows)}
	seen, want := map[rss.Queue]int{}, map[rss.Queue]int{}
	for _, s := range v.flows {
		if s.split {
			f.Split++
		}
		if !s.hashed {
			continue
		}
		f.Hashed++
		seen[s.seen]++
		want[s.want]++
		if s.seen == s.want {
			f.Agreed++
		}
	}
	for q, n := range seen {
		f.Chance += float64(n) / float64(f.Hashed) * float64(want[q]) / float64(f.Hashed)
	}
	return f
}
