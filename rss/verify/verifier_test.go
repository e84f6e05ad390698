package verify

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// card is a NIC with four queues, changed.
func card(t *testing.T, change func(*nic.Config)) *nic.NIC {
	t.Helper()
	config, err := nic.Default(4)
	if err != nil {
		t.Fatal(err)
	}
	change(&config)
	n, err := nic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func same(*nic.Config)    {}
func key(c *nic.Config)   { c.Key, _ = rss.Named("symmetric") }
func table(c *nic.Config) { slices.Reverse(c.Table) }
func noUDP(c *nic.Config) { c.UDP4 = rss.Addresses }

// seen are observations of a NIC: flows of TCP and UDP, and frames with options.
func seen(n *nic.NIC, flows int, hashed bool) (all []Observation) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 0))
	end := func() netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())}), uint16(random.Uint32()))
	}
	for i := range flows {
		o := Observation{Flow: packet.Flow{Source: end(), Destination: end(), Protocol: packet.TCP}, Packets: 2, CPUs: []int{i % 3}}
		switch i % 3 {
		case 1:
			o.Flow = udp(o.Flow)
		case 2:
			o.Frame, o.Packets = packet.Frame{Flow: o.Flow, Options: []byte{1, 1, 1, 0}}.Marshal(), 1
		}
		r := n.ClassifyFlow(o.Flow)
		o.Queue = r.Queue
		if hashed {
			o.Hash, o.Hashed = r.Hash, true
		}
		all = append(all, o)
	}
	return all
}

func verified(t *testing.T, model *nic.NIC, all []Observation) Report {
	t.Helper()
	v, err := New(model)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		v.Add(o)
	}
	return v.Report()
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		is     func(*nic.Config) // how the NIC is
		hashed bool
		flows  int
		want   Verdict
		words  string
	}{
		{"the model", same, true, 300, Agrees, "each equal to the model's"},
		{"the model, hash not seen", same, false, 300, Agrees, "only queues were compared"},
		{"few flows", same, false, 9, Agrees, "weak evidence: only 9 flows"},
		{"one queue", func(c *nic.Config) { c.Table = rss.Table{0} }, false, 300, Chance, "would by chance"},
		{"another key", key, false, 300, Chance, "would by chance"},
		{"another key, with hash", key, true, 300, Chance, "never equals the model's: key, function or fields differ"},
		{"another table, with hash", table, true, 300, Disagrees, "the NIC's hash equals the model's: the indirection table differs"},
		{"udp by addresses", noUDP, true, 300, Disagrees, "udp4: all would agree if the NIC hashed sd"},
		{"few flows of another key", key, false, 9, Disagrees, "packets came on another queue"},
		{"nothing", same, true, 0, Nothing, "no packet was seen"},
	} {
		r := verified(t, card(t, same), seen(card(t, c.is), c.flows, c.hashed))
		if words := strings.Join(r.Words, "; "); r.Verdict != c.want || !strings.Contains(words, c.words) {
			t.Errorf("%s: %s (%s), want %s (%s)", c.name, r.Verdict, words, c.want, c.words)
		}
	}
}

// A model with one queue agrees with everything, and the report says that this is weak evidence.
func TestOneQueueSaysLittle(t *testing.T) {
	one := card(t, func(c *nic.Config) { c.Table = rss.Table{0} })
	r := verified(t, one, seen(one, 300, false))
	if r.Verdict != Agrees || !strings.Contains(strings.Join(r.Words, " "), "100 % of the flows would agree by chance") {
		t.Errorf("%s: %q", r.Verdict, r.Words)
	}
}

// The figures of a report, counted by hand.
func TestReport(t *testing.T) {
	n := card(t, same)
	right := n.ClassifyFlow(four)
	wrong := (right.Queue + 1) % 4
	arp := make([]byte, 60)
	arp[12], arp[13] = 0x08, 0x06
	frame := packet.Frame{Flow: four}.Marshal()
	v, err := New(n)
	if err != nil {
		t.Fatal(err)
	}
	v.Remember(Observation{Frame: frame, Queue: wrong, Packets: 1})
	for _, o := range []Observation{
		{Flow: four, Queue: right.Queue, Hash: right.Hash, Hashed: true, Packets: 10, CPUs: []int{1}},
		{Flow: four, Queue: wrong, Hash: right.Hash, Hashed: true, Packets: 3, CPUs: []int{0, 1}},
		{Flow: four, Queue: wrong, Hash: 1, Hashed: true, Packets: 2, CPUs: []int{1}},
		{Frame: arp, Queue: 0, Packets: 1, CPUs: []int{1}},
	} {
		v.Add(o)
	}
	queues := map[rss.Queue]QueueReport{
		right.Queue: {Queue: right.Queue, Packets: 10, Expected: 15, CPUs: []int{1}},
		wrong:       {Queue: wrong, Packets: 5, CPUs: []int{0, 1}},
	}
	zero := queues[0]
	zero.Packets, zero.Expected, zero.CPUs = zero.Packets+1, zero.Expected+1, slices.Compact(append(slices.Clone(zero.CPUs), 1))
	queues[0] = zero
	want := Report{
		Verdict: Disagrees, Packets: 16, Queue: Agreement{16, 11}, Hash: Agreement{15, 13},
		Flows: Flows{Seen: 2, Hashed: 1, Agreed: 1, Split: 1, Chance: 1},
		Classes: []ClassReport{
			{Class: TCP4, Queue: Agreement{15, 10}, Hash: Agreement{15, 13}, Examples: []Example{{
				Flow: four.String(), Packets: 5, Queue: wrong, WantQueue: right.Queue, WantFields: "sdfn",
				Hash: fmt.Sprintf("0x%08x", right.Hash), WantHash: fmt.Sprintf("0x%08x", right.Hash), Frame: fmt.Sprintf("%x", frame),
			}}},
			{Class: NonIP, Queue: Agreement{1, 1}},
		},
	}
	for q := range rss.Queue(4) {
		if r, ok := queues[q]; ok {
			r.Queue = q
			want.Queues = append(want.Queues, r)
		}
	}
	got := v.Report()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Report{}, "Words"), cmpopts.IgnoreUnexported(Example{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if words := strings.Join(got.Words, "; "); !strings.Contains(words, "5 of 16 packets") || !strings.Contains(words, "1 of 2 flows came on more than one queue") {
		t.Errorf("words: %s", words)
	}
}

// The number of examples is limited.
func TestExamplesAreBounded(t *testing.T) {
	r := verified(t, card(t, same), seen(card(t, key), 3000, false))
	for _, c := range r.Classes {
		if len(c.Examples) != maxExamples {
			t.Errorf("%s: %d examples, want %d", c.Class, len(c.Examples), maxExamples)
		}
	}
}

func TestNeedsFrames(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*nic.Config)
		want   bool
	}{
		"plain":      {same, false},
		"inner":      {func(c *nic.Config) { c.Inner = packet.AllTunnels }, true},
		"flow label": {func(c *nic.Config) { c.TCP6 |= rss.FlowLabel }, true},
	} {
		v, err := New(card(t, c.change))
		if err != nil {
			t.Fatal(err)
		}
		if got := v.NeedsFrames(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
