package identify

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
)

// spoil gives some observations another hash or queue, and returns which.
func spoil(all []Observation, every int, queues uint16) (wrong []int) {
	for i := every / 2; i < len(all); i += every {
		wrong = append(wrong, i)
		all[i].Hash ^= 0xdeadbeef * uint32(i+1)
		all[i].Queue = (all[i].Queue + 1 + rss.Queue(i)%rss.Queue(queues-1)) % rss.Queue(queues)
	}
	return wrong
}

// TestWrongObservations: some observations are wrong; the model is found and they are named.
func TestWrongObservations(t *testing.T) {
	for _, c := range []struct {
		name   string
		class  string
		n      int
		every  int // one of so many is wrong
		queues int // 0: hashes
		known  bool
	}{
		{"ipv4 hashes", "tcp4", 64, 5, 0, false},
		{"ipv6 hashes", "tcp6", 64, 5, 0, false},
		{"known key", "tcp6", 64, 5, 0, true},
		{"ipv4 queues", "tcp4", 300, 40, 4, false},
		{"queues of a known key", "tcp4", 300, 5, 3, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := source(t)
			key, o := randomKey(r, 40), Options{}
			all := observe(r, c.n, func(o *Observation) uint32 { return rss.Toeplitz(key, sorted(o.Flow, false)) }, c.class)
			if c.known {
				o.Keys = []NamedKey{{"given", key}}
			}
			if c.queues > 0 {
				byQueue(all, equal(t, 128, c.queues))
			}
			want := spoil(all, c.every, uint16(max(c.queues, 2)))
			got := identified(t, all, o)
			if diff := cmp.Diff(want, got.Model.Wrong); diff != "" {
				t.Errorf("wrong observations (-want +got):\n%s", diff)
			}
			if got.Model.Order != EachLowFirst {
				t.Errorf("order %v", got.Model.Order)
			}
			if c.queues == 0 {
				sameKey(t, got.Model, key, map[string]Range{"tcp4": {127, 319}, "tcp6": {319, 319}}[c.class])
			}
		})
	}
}

// TestTooManyWrong: above the tolerance nothing is identified.
func TestTooManyWrong(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	for _, o := range []Options{{}, {Keys: []NamedKey{{"given", key}}}} {
		all := observe(r, 60, plain(key), "tcp4")
		spoil(all, 3, 2) // 20 of 60, of which 15 are tolerated
		if got, err := Identify(all, o); err != nil || got.Verdict != Unexplained {
			t.Errorf("verdict %v, model %+v, %v", got.Verdict, got.Model, err)
		}
	}
}

// TestUndetermined: too few observations give the verdict undetermined.
func TestUndetermined(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	all := observe(r, 3, plain(key), "tcp4")
	got, err := Identify(all, Options{})
	if err != nil || got.Verdict != Undetermined || got.Model == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(got.Model.Undetermined()) == 0 || got.Model.Freedom == 0 {
		t.Errorf("all is determined: %+v", got.Model)
	}
	got, err = Identify(byQueue(observe(r, 40, plain(key), "tcp4"), equal(t, 128, 3)), Options{})
	if err != nil || got.Verdict == Identified {
		t.Errorf("three queues: %+v, %v", got, err)
	}
}

// TestStructuredTraffic: the ports of one client leave most of the key open, and all arrangements that
// explain them are reported.
func TestStructuredTraffic(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	all := observe(r, 64, plain(key), "tcp4")
	for i := range all {
		all[i].Flow.Source = all[0].Flow.Source
		all[i].Flow.Destination = all[0].Flow.Destination
		all[i].Flow = withPort(all[i].Flow, uint16(40000+i))
		all[i].Hash = plain(key)(&all[i])
	}
	got := identified(t, all, Options{})
	arrangements := append(got.Also, got.Model.Arrangement)
	if !slices.Contains(arrangements, Arrangement{}) || !slices.Contains(arrangements, Arrangement{Order: Swapped}) {
		t.Errorf("found %v", arrangements)
	}
	if got.Model.Freedom == 0 {
		t.Errorf("freedom %d", got.Model.Freedom)
	}
	for i := range key {
		if got.Model.Arrangement == (Arrangement{}) && (key[i]^got.Model.Key[i])&got.Model.Known[i] != 0 {
			t.Fatalf("key %v, known %x, want %v", got.Model.Key, got.Model.Known, key)
		}
	}
}

// TestUnexplained: an unknown hash is unexplained, with a note whether it is affine.
func TestUnexplained(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	// 400 observations in 97 dimensions determine an affine function.
	multiply := observe(r, 400, func(o *Observation) uint32 { return plain(key)(o) * 0x9e3779b1 }, "tcp4")
	mirrored := observe(r, 400, func(o *Observation) uint32 {
		b := tuple(o.Flow)
		return rss.Toeplitz(key, b) ^ rss.Toeplitz(key[4:], append(b[6:], b[:6]...)) ^ 0x5555
	}, "tcp4")
	for _, c := range []struct {
		name string
		all  []Observation
		note string
	}{
		{"not affine", multiply, "tcp4: the hash is not an affine function of the tuple"},
		{"another affine function", mirrored, "tcp4: the hash is an affine function of the tuple, but not a known one"},
	} {
		got, err := Identify(c.all, Options{})
		if err != nil || got.Verdict != Unexplained || got.Model != nil || len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], c.note) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestConstant(t *testing.T) {
	r := source(t)
	got, err := Identify(observe(r, 20, func(*Observation) uint32 { return 0 }, "tcp4"), Options{})
	if err != nil || got.Verdict != Constant || got.Model != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestRepetitionsAndConflicts: a repeated observation adds no evidence, and a packet with two results is
// reported.
func TestRepetitionsAndConflicts(t *testing.T) {
	r := source(t)
	one := observe(r, 2, plain(randomKey(r, 40)), "tcp4")
	got, err := Identify(slices.Repeat(one, 50), Options{})
	if err != nil || got.Distinct != 2 || got.Verdict != Undetermined {
		t.Errorf("%+v, %v", got, err)
	}
	all := observe(r, 64, plain(randomKey(r, 40)), "tcp4")
	again := all[7]
	again.Hash ^= 1
	got = identified(t, append(all, again), Options{})
	if diff := cmp.Diff([][2]int{{7, 64}}, got.Conflicts); diff != "" || !slices.Equal(got.Model.Wrong, []int{64}) {
		t.Errorf("wrong %v, conflicts (-want +got):\n%s", got.Model.Wrong, diff)
	}
}

func TestIdentifyRefuses(t *testing.T) {
	r := source(t)
	good := func() []Observation { return observe(r, 3, plain(rss.MicrosoftKey()), "tcp4") }
	for _, c := range []struct {
		name  string
		spoil func(all []Observation) []Observation
		o     Options
		want  string
	}{
		{"none", func([]Observation) []Observation { return nil }, Options{}, "no observations"},
		{"too many", func(all []Observation) []Observation { return slices.Repeat(all[:1], MaxObservations+1) }, Options{}, "65537 observations: want at most 65536"},
		{"nothing seen", func(all []Observation) []Observation { all[1].HasHash = false; return all }, Options{}, "observation 1: neither hash nor queue"},
		{"with a line", func(all []Observation) []Observation { all[1].HasHash = false; all[1].Line = 9; return all }, Options{}, "line 9: neither hash nor queue"},
		{"mixed", func(all []Observation) []Observation {
			all[1].HasHash, all[1].HasQueue = false, true
			return all
		}, Options{}, "2 of 3 observations have a hash and 1 a queue: want one of the two in all"},
		{"families", func(all []Observation) []Observation {
			all[2].Flow.Source = randomFlow(r, "tcp6").Source
			return all
		}, Options{}, "want both of one address family"},
		{"no addresses", func(all []Observation) []Observation { all[2].Flow.Source = all[2].Inner.Source; return all }, Options{}, "observation 2: a tuple without addresses"},
		{"raw and tuple", func(all []Observation) []Observation { all[0].Input = []byte{1}; return all }, Options{}, "observation 0: both a tuple and a raw input"},
		{"key length", func(all []Observation) []Observation { return all }, Options{KeyLength: 39}, "rss key of 39 bytes: want 40 to 256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Identify(c.spoil(good()), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestRandomResults: no model is found for random hashes and queues.
func TestRandomResults(t *testing.T) {
	r := source(t)
	for n := range 2 {
		got, err := Identify(observe(r, 64, func(*Observation) uint32 { return r.Uint32() }, "tcp4", "udp6"), Options{})
		if err != nil || got.Verdict != Unexplained {
			t.Errorf("hashes: %+v, %v", got, err)
		}
		all := byQueue(observe(r, 200, func(*Observation) uint32 { return r.Uint32() }, "tcp4"), equal(t, 128, 3+n))
		if got, err = Identify(all, Options{}); err != nil || got.Verdict == Identified {
			t.Errorf("%d queues: %+v, %v", 3+n, got, err)
		}
	}
}
