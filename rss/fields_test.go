package rss

import "testing"

func TestFields(t *testing.T) {
	for _, c := range []struct {
		fields Fields
		text   string
	}{
		{0, "none"},
		{Addresses, "sd"},
		{FourTuple, "sdfn"},
		{SourceAddress, "s"},
		{DestinationAddress | DestinationPort, "dn"},
		{Addresses | FlowLabel, "sdl"},
		{FourTuple | TunnelID, "sdfne"},
		{DestinationMAC | VLANTag | NetworkProtocol, "mvt"},
		{Discard, "r"},
	} {
		if got := c.fields.String(); got != c.text {
			t.Errorf("String of %#x = %q, want %q", uint32(c.fields), got, c.text)
		}
		if got, err := ParseFields(c.text); got != c.fields || err != nil {
			t.Errorf("ParseFields(%q) = %v, %v; want %v", c.text, got, err, c.fields)
		}
	}
	if got := (Addresses | 1<<11).String(); got != "sd+0x800" {
		t.Errorf("String of a bit without a letter = %q, want sd+0x800", got)
	}
}

// The values are the kernel's, in include/uapi/linux/ethtool.h.
func TestFieldsAreTheKernels(t *testing.T) {
	for name, c := range map[string]struct{ got, want Fields }{
		"RXH_IP_SRC":   {SourceAddress, 0x10},
		"RXH_IP_DST":   {DestinationAddress, 0x20},
		"RXH_L4_B_0_1": {SourcePort, 0x40},
		"RXH_L4_B_2_3": {DestinationPort, 0x80},
		"RXH_L2DA":     {DestinationMAC, 0x02},
		"RXH_VLAN":     {VLANTag, 0x04},
		"RXH_L3_PROTO": {NetworkProtocol, 0x08},
		"RXH_GTP_TEID": {TunnelID, 0x100},
		"RXH_IP6_FL":   {FlowLabel, 0x200},
		"RXH_DISCARD":  {Discard, 0x80000000},
	} {
		if c.got != c.want {
			t.Errorf("%s = %#x, want %#x", name, uint32(c.got), uint32(c.want))
		}
	}
}

func TestParseFieldsRefuses(t *testing.T) {
	for _, s := range []string{"", "x", "sdx", "SD", "s d", "nones", "-", "s-d"} {
		if f, err := ParseFields(s); err == nil {
			t.Errorf("ParseFields(%q) = %v, want an error", s, f)
		}
	}
}

func TestSymmetricFields(t *testing.T) {
	for text, want := range map[string]bool{
		"none": true, "sd": true, "fn": true, "sdfn": true,
		"s": false, "d": false, "sdf": false, "sfn": false, "sdl": false, "sdfnr": false, "vsd": false,
	} {
		f, err := ParseFields(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Symmetric(); got != want {
			t.Errorf("%s: Symmetric = %v, want %v", text, got, want)
		}
	}
}
