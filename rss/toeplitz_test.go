package rss

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// verification has the rows of Microsoft's "Verifying the RSS Hash Calculation" (NDIS
// documentation), under MicrosoftKey; DPDK's app/test/test_thash.c and VPP test the same.
var verification = []struct {
	source, destination string
	twoTuple, fourTuple uint32
}{
	{"66.9.149.187:2794", "161.142.100.80:1766", 0x323e8fc2, 0x51ccc178},
	{"199.92.111.2:14230", "65.69.140.83:4739", 0xd718262a, 0xc626b0ea},
	{"24.19.198.95:12898", "12.22.207.184:38024", 0xd2d0a5de, 0x5c2b394a},
	{"38.27.205.30:48228", "209.142.163.6:2217", 0x82989176, 0xafc7327f},
	{"153.39.163.191:44251", "202.188.127.2:1303", 0x5d1809c5, 0x10e828a2},
	{"[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766", 0x2cc18cd5, 0x40207d3d},
	{"[3ffe:501:8::260:97ff:fe40:efab]:14230", "[ff02::1]:4739", 0x0f0c461c, 0xdde51bbf},
	{"[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251", "[fe80::200:f8ff:fe21:67cf]:38024", 0x4b61e985, 0x02d1feef},
}

func TestVerificationSuite(t *testing.T) {
	key := MicrosoftKey()
	tables := NewTables(key, IPv6TupleLength)
	for _, row := range verification {
		source, destination := netip.MustParseAddrPort(row.source), netip.MustParseAddrPort(row.destination)
		for _, c := range []struct {
			fields Fields
			input  []byte
			want   uint32
		}{
			{Addresses, AppendAddresses(nil, source.Addr(), destination.Addr()), row.twoTuple},
			{FourTuple, AppendTuple(nil, source, destination), row.fourTuple},
		} {
			if got := Toeplitz(key, c.input); got != c.want {
				t.Errorf("%v > %v %v: Toeplitz = %#08x, want %#08x", source, destination, c.fields, got, c.want)
			}
			if got := tables.Hash(c.input); got != c.want {
				t.Errorf("%v > %v %v: Tables = %#08x, want %#08x", source, destination, c.fields, got, c.want)
			}
		}
	}
}

// Only the last bit of this key, number 319, is set. So the hash of an input bit shows
// where its window of 32 key bits is, and that zeros follow the key.
func TestToeplitzPastTheKey(t *testing.T) {
	key := make(Key, MinKeyLength)
	key[MinKeyLength-1] = 1
	input := make([]byte, 50)
	for _, c := range []struct {
		place int
		value byte
		want  uint32
	}{
		{35, 0x01, 0x00000000}, // bit 287: key bits 287 to 318, one short of the set one
		{36, 0x80, 0x00000001}, // bit 288: key bits 288 to 319, the last full window
		{36, 0x40, 0x00000002},
		{39, 0x01, 0x80000000}, // bit 319: the last bit of the key, then zeros
		{40, 0xff, 0},
		{49, 0xff, 0},
	} {
		clear(input)
		input[c.place] = c.value
		if got := Toeplitz(key, input); got != c.want {
			t.Errorf("byte %d = %#x: Toeplitz = %#08x, want %#08x", c.place, c.value, got, c.want)
		}
	}
}

func TestSymmetricKey(t *testing.T) {
	key, ok := Named("symmetric")
	if !ok {
		t.Fatal("there is no symmetric key")
	}
	for _, row := range verification {
		a, b := netip.MustParseAddrPort(row.source), netip.MustParseAddrPort(row.destination)
		there, back := Toeplitz(key, AppendTuple(nil, a, b)), Toeplitz(key, AppendTuple(nil, b, a))
		if there != back {
			t.Errorf("%v and %v: %#08x one way, %#08x the other", a, b, there, back)
		}
	}
}

// FuzzTables compares the tables with the definition, at every length up to 300
// and every key length, also past the end of the key.
func FuzzTables(f *testing.F) {
	f.Add([]byte(MicrosoftKey()), []byte("66.9.149.187"))
	f.Add(bytes.Repeat([]byte{0xff}, MaxKeyLength), bytes.Repeat([]byte{0xff}, 300))
	f.Add(bytes.Repeat([]byte{1}, MinKeyLength), bytes.Repeat([]byte{0x80}, 45))
	f.Fuzz(func(t *testing.T, key, input []byte) {
		if Key(key).Validate() != nil || len(input) > 300 {
			t.Skip("out of the range of keys and inputs")
		}
		got, want := NewTables(key, len(input)).Hash(input), Toeplitz(key, input)
		if got != want {
			t.Errorf("key %x input %x: tables %#08x, definition %#08x", key, input, got, want)
		}
	})
}

func TestTablesEqualDefinition(t *testing.T) {
	const seed = 2
	random := rand.New(rand.NewPCG(seed, seed))
	for _, length := range []int{MinKeyLength, 41, 52, 100, MaxKeyLength} {
		key, input := make(Key, length), make([]byte, 300)
		fill(random, key)
		fill(random, input)
		tables := NewTables(key, len(input))
		for n := range len(input) + 1 {
			if got, want := tables.Hash(input[:n]), Toeplitz(key, input[:n]); got != want {
				t.Fatalf("seed %d, key of %d, input of %d bytes: tables %#08x, definition %#08x", seed, length, n, got, want)
			}
		}
	}
}

func TestRowsAreContributions(t *testing.T) {
	key := MicrosoftKey()
	rows := NewTables(key, IPv6TupleLength).Rows()
	for place := range rows {
		for value := range rows[place] {
			input := make([]byte, IPv6TupleLength)
			input[place] = byte(value)
			if got, want := rows[place][value], Toeplitz(key, input); got != want {
				t.Fatalf("row %d entry %d = %#08x, want %#08x", place, value, got, want)
			}
		}
	}
}

func TestHashPanicsOnLongInput(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("hash of 13 bytes by tables for 12 did not panic")
		}
	}()
	NewTables(MicrosoftKey(), IPv4TupleLength).Hash(make([]byte, IPv4TupleLength+1))
}

func TestHashDoesNotAllocate(t *testing.T) {
	tables, input := NewTables(MicrosoftKey(), IPv6TupleLength), make([]byte, IPv6TupleLength)
	if n := testing.AllocsPerRun(100, func() { tables.Hash(input) }); n != 0 {
		t.Errorf("%v allocations a hash, want 0", n)
	}
}

func fill(random *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(random.Uint32())
	}
}

// The window of a bit is the hash of the input in which it alone is set, also at the key's end and past it.
func TestWindow(t *testing.T) {
	key := MicrosoftKey()
	for i := range 8*len(key) + 40 {
		input := make([]byte, i/8+1)
		input[i/8] = 0x80 >> (i % 8)
		if got, want := key.Window(i), Toeplitz(key, input); got != want {
			t.Fatalf("bit %d: %#08x, want %#08x", i, got, want)
		}
	}
}
