package rss

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

var (
	values4 = Values{
		Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("198.51.100.9"),
		SourcePort: 0x1234, DestinationPort: 0x0050, FlowLabel: 0xabcde,
	}
	values6 = Values{
		Source: netip.MustParseAddr("2001:db8::1"), Destination: netip.MustParseAddr("2001:db8::f2"),
		SourcePort: 0x1234, DestinationPort: 0x0050, FlowLabel: 0xffabcde,
	}
)

func TestAppendInput(t *testing.T) {
	for _, c := range []struct {
		values    Values
		fields    string
		transform Transform
		want      string
	}{
		{values4, "none", NoTransform, ""},
		{values4, "sdfn", NoTransform, "c0000201 c6336409 1234 0050"},
		{values4, "sd", NoTransform, "c0000201 c6336409"},
		{values4, "s", NoTransform, "c0000201"},
		{values4, "dn", NoTransform, "c6336409 0050"},
		{values4, "fn", NoTransform, "1234 0050"},
		{values4, "sdfnmvter", NoTransform, "c0000201 c6336409 1234 0050"},
		{values6, "sdl", NoTransform, "20010db8000000000000000000000001 20010db80000000000000000000000f2 0abcde"},
		{values6, "fl", NoTransform, "1234 0abcde"},
		{values4, "sdfn", SymmetricXOR, "06336608 06336608 1264 1264"},
		{values4, "sdfn", SymmetricOrXOR, "c6336609 06336608 1274 1264"},
		{values4, "sd", SymmetricXOR, "06336608 06336608"},
		{values4, "fn", SymmetricOrXOR, "1274 1264"},
		{values4, "sdf", SymmetricXOR, "c0000201 c6336409 1234"}, // not symmetric: left alone
	} {
		fields, err := ParseFields(c.fields)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(c.want), []byte(" "), nil)))
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendInput([]byte("x"), &c.values, fields, c.transform); !bytes.Equal(got[1:], want) || got[0] != 'x' {
			t.Errorf("%s %v: %x, want %x", c.fields, c.transform, got[1:], want)
		}
	}
}

func TestAppendInputIsTheTuple(t *testing.T) {
	for _, v := range []Values{values4, values6} {
		want := AppendTuple(nil, netip.AddrPortFrom(v.Source, v.SourcePort), netip.AddrPortFrom(v.Destination, v.DestinationPort))
		if got := AppendInput(nil, &v, FourTuple, NoTransform); !bytes.Equal(got, want) {
			t.Errorf("AppendInput = %x, AppendTuple = %x", got, want)
		}
	}
}

// Both directions of a flow have one input under a symmetric transform.
func TestTransformsAreSymmetric(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{4, 16}).Draw(t, "bytes")
		source, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "source"))
		destination, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "destination"))
		there := Values{Source: source, Destination: destination, SourcePort: rapid.Uint16().Draw(t, "p"), DestinationPort: rapid.Uint16().Draw(t, "q")}
		back := Values{Source: destination, Destination: source, SourcePort: there.DestinationPort, DestinationPort: there.SourcePort}
		for _, x := range []Transform{SymmetricXOR, SymmetricOrXOR} {
			if a, b := AppendInput(nil, &there, FourTuple, x), AppendInput(nil, &back, FourTuple, x); !bytes.Equal(a, b) {
				t.Errorf("%v: %x there, %x back", x, a, b)
			}
		}
	})
}

func TestTransformNames(t *testing.T) {
	for name, want := range map[string]Transform{"none": 0, "symmetric-xor": 1, "symmetric-or-xor": 2} { // RXH_XFRM_*
		x, err := ParseTransform(name)
		if err != nil || x != want || x.String() != name || x.Validate() != nil {
			t.Errorf("ParseTransform(%q) = %v, %v; want %d", name, x, err, want)
		}
	}
	if x, err := ParseTransform("xor"); err == nil {
		t.Errorf("ParseTransform(xor) = %v, want an error", x)
	}
	if bad := Transform(3); bad.Validate() == nil || bad.String() != "transform-0x3" {
		t.Errorf("transform 3: %v, %v", bad, bad.Validate())
	}
}

func TestAppendInputDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		var room [MaxInputLength]byte
		if in := AppendInput(room[:0], &values6, FourTuple|FlowLabel, NoTransform); len(in) != MaxInputLength {
			t.Errorf("%d bytes, want %d", len(in), MaxInputLength)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
