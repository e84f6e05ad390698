package identify

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// seed makes the keys and flows of these tests.
const seed = 11

func source(t testing.TB) *rand.Rand {
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func randomKey(r *rand.Rand, length int) rss.Key {
	key := make(rss.Key, length)
	for i := range key {
		key[i] = byte(r.Uint32())
	}
	return key
}

// randomFlow is a flow of "tcp4", "udp6", "ip4" and so on.
func randomFlow(r *rand.Rand, class string) packet.Flow {
	var ends [2]netip.AddrPort
	for i := range ends {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], r.Uint64())
		binary.BigEndian.PutUint64(b[8:], r.Uint64())
		a, port := netip.AddrFrom16(b), uint16(r.Uint32())
		if strings.HasSuffix(class, "4") {
			a = netip.AddrFrom4([4]byte(b[:4]))
		}
		if strings.HasPrefix(class, "ip") {
			port = 0
		}
		ends[i] = netip.AddrPortFrom(a, port)
	}
	protocol := map[string]packet.Protocol{"tc": packet.TCP, "ud": packet.UDP, "ip": 1}[class[:2]]
	return packet.Flow{Source: ends[0], Destination: ends[1], Protocol: protocol}
}

// observe makes n observations, of the classes in turn, with the hashes of a NIC.
func observe(r *rand.Rand, n int, nic func(o *Observation) uint32, classes ...string) []Observation {
	all := make([]Observation, n)
	for i := range all {
		all[i] = Observation{Flow: randomFlow(r, classes[i%len(classes)]), HasHash: true}
		all[i].Hash = nic(&all[i])
	}
	return all
}

// tuple is the input by Microsoft's definition, without the code under test.
func tuple(f packet.Flow) []byte { return rss.AppendTuple(nil, f.Source, f.Destination) }

// plain is a NIC as Microsoft specifies.
func plain(key rss.Key) func(o *Observation) uint32 {
	return func(o *Observation) uint32 { return rss.Toeplitz(key, tuple(o.Flow)) }
}

// identified runs Identify, which must find a model.
func identified(t *testing.T, observations []Observation, o Options) Result {
	t.Helper()
	r, err := Identify(observations, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Identified || r.Model == nil {
		t.Fatalf("verdict %v, model %+v, notes %q", r.Verdict, r.Model, r.Notes)
	}
	return r
}

// sameKey compares the known bits with the true key's, and their ranges with the wanted ones.
func sameKey(t *testing.T, m *Model, key rss.Key, want ...Range) {
	t.Helper()
	for i := range min(len(key), len(m.Key)) {
		if (key[i]^m.Key[i])&m.Known[i] != 0 {
			t.Fatalf("key\n%v\nwant\n%v\nknown\n%x", m.Key, key, m.Known)
		}
	}
	if diff := cmp.Diff(want, m.Undetermined()); diff != "" {
		t.Errorf("undetermined bits (-want +got):\n%s", diff)
	}
}

// TestRecoversKey: random keys are recovered from hashes, as far as the inputs reach.
func TestRecoversKey(t *testing.T) {
	for _, c := range []struct {
		name         string
		length       int
		classes      []string
		n            int
		undetermined []Range
	}{
		{"ipv4, 40 bytes", 40, []string{"tcp4"}, 64, []Range{{127, 319}}},
		{"ipv6, 40 bytes", 40, []string{"tcp6"}, 64, []Range{{319, 319}}},
		{"ipv6, 52 bytes", 52, []string{"udp6"}, 64, []Range{{319, 415}}},
		{"both", 40, []string{"tcp4", "udp6", "tcp6"}, 64, []Range{{319, 319}}},
		{"other protocols", 40, []string{"ip6"}, 64, []Range{{287, 319}}},
		{"few", 40, []string{"tcp4"}, 8, []Range{{127, 319}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := source(t)
			key := randomKey(r, c.length)
			nic := plain(key)
			if c.classes[0] == "ip6" {
				nic = func(o *Observation) uint32 { return rss.Toeplitz(key, tuple(o.Flow)[:32]) }
			}
			got := identified(t, observe(r, c.n, nic, c.classes...), Options{KeyLength: c.length})
			sameKey(t, got.Model, key, c.undetermined...)
			if m := got.Model; m.Arrangement != (Arrangement{}) || m.Function != "toeplitz" || m.KeyName != "" || len(m.Wrong) != 0 || len(got.Also) != 0 || m.Freedom != 0 {
				t.Errorf("model %+v, also %v", m, got.Also)
			}
		})
	}
}

// TestRecoversLongKeyFromRawInput reaches all 52 bytes with inputs of 48.
func TestRecoversLongKeyFromRawInput(t *testing.T) {
	r := source(t)
	key := randomKey(r, 52)
	var all []Observation
	for range 64 {
		input := []byte(randomKey(r, 48))
		all = append(all, Observation{Input: input, Hash: rss.Toeplitz(key, input), HasHash: true})
	}
	m := identified(t, all, Options{}).Model
	sameKey(t, m, key, Range{415, 415})
	if len(m.Key) != 52 || m.Classes[0].Class != "input" {
		t.Errorf("key of %d bytes, classes %v", len(m.Key), m.Classes)
	}
}

func TestDuplicatedHalvesOfUnknownKey(t *testing.T) {
	r := source(t)
	half := randomKey(r, 20)
	got := identified(t, observe(r, 64, plain(append(half, half...)), "tcp6"), Options{})
	if !slices.Contains(got.Notes, "the halves of the key are duplicates of each other") {
		t.Errorf("notes %q", got.Notes)
	}
}

// TestFieldsByClass: TCP is hashed by 4-tuple, UDP by addresses, a common default.
func TestFieldsByClass(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	got := identified(t, observe(r, 80, func(o *Observation) uint32 {
		b := tuple(o.Flow)
		if o.Flow.Protocol != packet.TCP {
			b = b[:len(b)-4]
		}
		return rss.Toeplitz(key, b)
	}, "tcp4", "udp4", "tcp6", "udp6", "ip4"), Options{})
	want := map[string]rss.Fields{"tcp4": rss.FourTuple, "udp4": rss.Addresses, "tcp6": rss.FourTuple, "udp6": rss.Addresses, "ip4": rss.Addresses}
	fields := map[string]rss.Fields{}
	for _, c := range got.Model.Classes {
		fields[c.Class] = c.Fields
		if c.Observations != 16 || len(c.Also) != 0 {
			t.Errorf("class %+v", c)
		}
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	sameKey(t, got.Model, key, Range{319, 319})
}

// TestAmbiguousFields: when ports never change, their part cannot be told from the initial value.
func TestAmbiguousFields(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	all := observe(r, 64, plain(key), "tcp4")
	for i := range all {
		all[i].Flow.Source = netip.AddrPortFrom(all[i].Flow.Source.Addr(), 1000)
		all[i].Flow.Destination = netip.AddrPortFrom(all[i].Flow.Destination.Addr(), 443)
		all[i].Hash = plain(key)(&all[i])
	}
	c := identified(t, all, Options{}).Model.Classes[0]
	if !slices.Contains(append(c.Also, c.Fields), rss.FourTuple) || !slices.Contains(append(c.Also, c.Fields), rss.Addresses) {
		t.Errorf("fields %v, also %v; want both %v and %v", c.Fields, c.Also, rss.FourTuple, rss.Addresses)
	}
}

func TestInnerHeader(t *testing.T) {
	r := source(t)
	key := randomKey(r, 40)
	for _, want := range []Header{Outer, Inner} {
		all := observe(r, 64, plain(key), "udp4")
		for i := range all {
			all[i].Inner = randomFlow(r, "tcp4")
			if want == Inner {
				all[i].Hash = rss.Toeplitz(key, tuple(all[i].Inner))
			}
		}
		got := identified(t, all, Options{})
		if got.Model.Arrangement != (Arrangement{Header: want}) {
			t.Errorf("%v, want %v", got.Model.Arrangement, want)
		}
		sameKey(t, got.Model, key, Range{127, 319})
	}
}

func TestInitialValue(t *testing.T) {
	for _, initial := range []uint32{0, math.MaxUint32, 0x12345678} {
		r := source(t)
		key := randomKey(r, 40)
		nic := func(o *Observation) uint32 { return plain(key)(o) ^ initial }
		for _, o := range []Options{{}, {Keys: []NamedKey{{"given", key}}}} {
			m := identified(t, observe(r, 64, nic, "tcp4", "tcp6"), o).Model
			if m.Initial != initial || initial != 0 && m.InitialKnown != math.MaxUint32 {
				t.Errorf("initial value %08x (known %08x), want %08x", m.Initial, m.InitialKnown, initial)
			}
			if known := o.Keys != nil; known != (m.KeyName == "given") {
				t.Errorf("initial value %08x: key name %q", initial, m.KeyName)
			}
			sameKey(t, m, key, Range{319, 319})
		}
	}
}

// A key that is given is excluded exactly when the NIC has another one, by hashes and by queues; one that differs only in bits
// that no input reaches is not.
func TestGivenKey(t *testing.T) {
	r := source(t)
	key, wrong := randomKey(r, 40), randomKey(r, 40)
	reversed := slices.Clone(key)
	slices.Reverse(reversed)
	beyond := slices.Clone(key)
	beyond[39] ^= 1
	o := Options{Given: []rss.Key{key, wrong, reversed, beyond}}
	for i, k := range o.Given {
		o.Keys = append(o.Keys, NamedKey{strconv.Itoa(i), k})
	}
	hashes := observe(r, 64, plain(key), "tcp4", "tcp6")
	queues := make([]Observation, 200)
	for i, observed := range observe(r, len(queues), plain(key), "tcp4") {
		queues[i] = Observation{Flow: observed.Flow, HasQueue: true, Queue: rss.Queue(observed.Hash % 128 % 4)}
	}
	for name, all := range map[string][]Observation{"hashes": hashes, "queues": queues} {
		got, err := Identify(all, o)
		if err != nil || len(got.Given) != len(o.Given) {
			t.Fatalf("%s: %+v, %v", name, got.Given, err)
		}
		for i, want := range []bool{false, true, false, false} {
			if g := got.Given[i]; g.Excluded != want || g.Ways < 10 {
				t.Errorf("%s, key %d: %+v, want excluded %v", name, i, g, want)
			}
		}
	}
}

// TestOtherFunctions: hashes without a key.
func TestOtherFunctions(t *testing.T) {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	for _, c := range []struct {
		name, want string
		hash       func(b []byte) uint32
	}{
		{"xor", "xor", xor32},
		{"xor8", "xor8", xor8},
		{"xor8 inverted", "xor8 inverted", func(b []byte) uint32 { return uint32(^byte(xor8(b))) }},
		{"crc32", "crc32", crc32.ChecksumIEEE},
		{"crc32c", "crc32c", func(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := source(t)
			got := identified(t, observe(r, 64, func(o *Observation) uint32 { return c.hash(tuple(o.Flow)) }, "tcp4", "udp6"), Options{})
			if m := got.Model; m.Function != c.want || m.Bytes != NetworkOrder || m.Key != nil {
				t.Errorf("function %q, %v, key %v; want %q", m.Function, m.Arrangement, m.Key, c.want)
			}
		})
	}
}

func xor32(b []byte) (h uint32) {
	for i := 0; i < len(b); i += 4 {
		h ^= binary.BigEndian.Uint32(b[i:])
	}
	return h
}

func xor8(b []byte) (h uint32) {
	for _, x := range b {
		h ^= uint32(x)
	}
	return h
}

// TestReportedHalf: a NIC that reports 16 bits of the hash, in one half or both.
func TestReportedHalf(t *testing.T) {
	for _, c := range []struct {
		name   string
		report func(h uint32) uint32
	}{
		{"low half", func(h uint32) uint32 { return h & 0xffff }},
		{"low half twice", func(h uint32) uint32 { return h&0xffff | h<<16 }},
		{"high half", func(h uint32) uint32 { return h &^ 0xffff }},
		{"high half twice", func(h uint32) uint32 { return h>>16 | h&^0xffff }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := source(t)
			key := randomKey(r, 40)
			nic := func(o *Observation) uint32 { return c.report(plain(key)(o)) }
			got := identified(t, observe(r, 64, nic, "tcp4"), Options{})
			if len(got.Notes) != 1 || got.Model.Arrangement.Order != AsSent {
				t.Errorf("%v, notes %q", got.Model.Arrangement, got.Notes)
			}
			switch c.name {
			case "high half":
				sameKey(t, got.Model, key, Range{111, 319})
			case "high half twice": // see the note
				sameKey(t, got.Model, append(make(rss.Key, 2), key...), Range{0, 15}, Range{127, 319})
			default:
				sameKey(t, got.Model, key, Range{0, 15}, Range{127, 319})
			}
		})
	}
}
