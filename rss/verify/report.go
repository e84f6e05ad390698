package verify

import (
	"cmp"
	"maps"
	"slices"

	"lbctl/rss"
)

// Verdict is what all comes to.
type Verdict string

// The verdicts.
const (
	// Nothing was compared.
	Nothing Verdict = "nothing"
	// Agrees: every packet is as the model has it.
	Agrees Verdict = "agrees"
	// Disagrees: some are not.
	Disagrees Verdict = "disagrees"
	// Chance: the flows agree as often as they would with any model.
	Chance Verdict = "chance"
)

// Agreement counts packets.
type Agreement struct {
	Compared uint64 `json:"compared"`
	Agreed   uint64 `json:"agreed"`
}

// Share returns which part agreed, 0 to 1; 0 when nothing was compared.
func (a Agreement) Share() float64 {
	if a.Compared == 0 {
		return 0
	}
	return float64(a.Agreed) / float64(a.Compared)
}

// complete tells whether all agreed.
func (a Agreement) complete() bool { return a.Agreed == a.Compared }

func (a *Agreement) add(b Agreement) { a.Compared += b.Compared; a.Agreed += b.Agreed }

// Report is the outcome; scripts rely on its names.
type Report struct {
	Verdict Verdict `json:"verdict"`
	// Words says the verdict in sentences.
	Words   []string `json:"words"`
	Packets uint64   `json:"packets"`
	// Queue and Hash are over all packets, Hash over those of which the NIC told one.
	Queue Agreement `json:"queue_agreement"`
	Hash  Agreement `json:"hash_agreement"`
	Flows Flows     `json:"flow_agreement"`
	// Classes are those that were seen, in the order of Classes.
	Classes []ClassReport `json:"classes"`
	Queues  []QueueReport `json:"queues"`
}

// Flows is what is said of flows: each counts once, however many packets it has.
type Flows struct {
	Seen int `json:"flows"`
	// Agreed are those of Hashed, the ones that the model hashes, that came first on the model's queue.
	Hashed int `json:"hashed"`
	Agreed int `json:"agreed"`
	// Split came on several queues.
	Split int `json:"split"`
	// Chance is the share that would agree if queue and model had nothing to do with each other.
	Chance float64 `json:"chance"`
}

// ClassReport is what was seen of a class.
type ClassReport struct {
	Class Class     `json:"class"`
	Queue Agreement `json:"queue_agreement"`
	Hash  Agreement `json:"hash_agreement"`
	// Explained names the fields under which all packets would be on the model's queue, where that
	// is the case and the class disagrees; else it is empty.
	Explained string    `json:"explained_by_fields,omitempty"`
	Examples  []Example `json:"examples,omitempty"`
}

// Example is packets that disagree.
type Example struct {
	key flowKey
	// Flow is empty for what is not IP.
	Flow    string `json:"flow_text,omitempty"`
	Packets uint64 `json:"packets"`
	// Hash is what the NIC told, WantHash what the model computes over WantFields.
	Queue      rss.Queue `json:"queue"`
	WantQueue  rss.Queue `json:"want_queue"`
	Hash       string    `json:"hash,omitempty"`
	WantHash   string    `json:"want_hash,omitempty"`
	WantFields string    `json:"want_fields"`
	// Frame is the beginning of one, in hex, where it was kept.
	Frame string `json:"frame,omitempty"`
}

// QueueReport is what came on a queue.
type QueueReport struct {
	Queue   rss.Queue `json:"queue"`
	Packets uint64    `json:"packets"`
	// Expected is how many the model sends there.
	Expected uint64 `json:"expected"`
	CPUs     []int  `json:"seen_on_cores"`
}

// Report says what all that was added comes to. More may be added after it.
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
