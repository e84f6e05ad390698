package setup_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/setup"
)

func TestConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(file, []byte(`{"table":[3,2,1]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	standard, err := nic.Default(4)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		assignments string
		want        func(*nic.Config)
	}{
		{"queues=4", func(*nic.Config) {}},
		{"table=6", func(c *nic.Config) { c.Table = rss.Table{0, 1, 2, 3, 0, 1} }},
		{"table=4,fill=weight 1 3", func(c *nic.Config) { c.Table = rss.Table{0, 1, 1, 1} }},
		{"fill=@" + file, func(c *nic.Config) { c.Table = rss.Table{3, 2, 1} }},
		{"function=xor,transform=symmetric-xor", func(c *nic.Config) { c.Function, c.Transform = rss.FunctionXOR, rss.SymmetricXOR }},
		{"inner=vxlan+gre", func(c *nic.Config) { c.Inner = packet.TunnelVXLAN | packet.TunnelGRE }},
		{"inner=pppoe+mpls", func(c *nic.Config) { c.Inner = packet.TunnelPPPoE | packet.TunnelMPLS }},
		{"default-queue=3", func(c *nic.Config) { c.DefaultQueue.Queue = 3 }},
		{"default-queue=entry-0", func(c *nic.Config) { c.DefaultQueue.FirstEntry = true }},
		{"udp4=sd,udp6=none", func(c *nic.Config) { c.UDP4, c.UDP6 = rss.Addresses, 0 }},
		{"fields=sd,tcp4=sdfn", func(c *nic.Config) {
			for _, set := range c.FieldSets() {
				*set.Fields = rss.Addresses
			}
			c.TCP4 = rss.FourTuple
		}},
	} {
		s, err := setup.Setup{Queues: setup.DefaultQueues}.With(c.assignments)
		if err != nil {
			t.Errorf("%s: %v", c.assignments, err)
			continue
		}
		got, err := s.Config()
		if err != nil {
			t.Errorf("%s: %v", c.assignments, err)
			continue
		}
		want := standard
		c.want(&want)
		same := slices.Equal(got.Key, want.Key) && slices.Equal(got.Table, want.Table) &&
			got.Function == want.Function && got.Transform == want.Transform && got.Inner == want.Inner && got.DefaultQueue == want.DefaultQueue
		for i, set := range got.FieldSets() {
			same = same && *set.Fields == *want.FieldSets()[i].Fields
		}
		if !same {
			t.Errorf("%s: %+v, want %+v", c.assignments, got, want)
		}
	}
}

// A profile gives the table's size and the byte order of the key; words override both.
func TestProfile(t *testing.T) {
	s := setup.Setup{Profile: "ena", Queues: 8, Key: "ms"}
	config, err := s.Config()
	if err != nil || len(config.Table) != 128 || config.Key[0] != 0xfa || s.KeyNote() != "" {
		t.Errorf("ena with a key: %v entries, key %v, note %q, %v", len(config.Table), config.Key, s.KeyNote(), err)
	}
	if back := s.HardwareKey(config.Key); !slices.Equal(back, rss.MicrosoftKey()) {
		t.Errorf("the driver's key of %v: %v", config.Key, back)
	}
	if note := (setup.Setup{Profile: "ena", Queues: 8}).KeyNote(); !strings.HasPrefix(note, "the key of this NIC is not known, ms is used in its place: ") {
		t.Errorf("note %q", note)
	}
	size := 64
	s.Table = &size
	if n, err := s.NIC(); err != nil || len(n.Config().Table) != size {
		t.Errorf("table of %d: %v", size, err)
	}
}

func TestErrorsNameTheOption(t *testing.T) {
	for assignments, want := range map[string]string{
		"queues=0":                              "queues: 0: want 1 to 65536",
		"queues=65537,profile=ixgbe":            "queues: 65537: want 1 to 65536",
		"table=0":                               "table: 0: want 1 to 65536",
		"table=0,profile=ixgbe":                 "table: 0: want 1 to 65536",
		"table=65537":                           "table: 65537: want 1 to 65536",
		"profile=ixgb":                          `profile: "ixgb" is not known`,
		"key=6d":                                "key: rss key of 1 bytes: want 40 to 256",
		"function=top":                          `function: hash function "top": want one of ["toeplitz" "xor" "crc32"]`,
		"transform=xor":                         `transform: input transform "xor": want one of ["none" "symmetric-xor" "symmetric-or-xor"]`,
		"inner=vlan":                            `inner: tunnel "vlan" is not known: want some of ipip+gre+vxlan+geneve+gtpu+pppoe+mpls, or all`,
		"fields=sx":                             `fields: hash fields "sx": want letters of "mvtsdfnelr", or none`,
		"fields=vsd":                            "fields: hash fields vsd of tcp4: in which order a NIC hashes v is not specified; want sdfn",
		"fields=sdf,transform=symmetric-xor":    "fields: hash fields sdf of tcp4 under symmetric-xor: want both addresses or none, both ports or none, and no other",
		"fill=equal 9":                          `fill: indirection table "equal 9" names queue 8: want 0 to 3`,
		"fill=even":                             `fill: indirection table "even": want default, or equal N, or weight W0 W1 and so on; the last two with start S or without`,
		"fill=@" + t.TempDir() + "/absent.json": "fill: open ",
	} {
		s, err := setup.Setup{Queues: setup.DefaultQueues}.With(assignments)
		if err != nil {
			t.Errorf("%s: %v", assignments, err)
			continue
		}
		_, err = s.NIC()
		var o *setup.OptionError
		if !errors.As(err, &o) || !strings.HasPrefix(err.Error(), want) || !strings.HasPrefix(want, o.Option+": ") {
			t.Errorf("%s: %v, want %s", assignments, err, want)
		}
	}
	_, err := setup.Setup{Profile: "ixgb", Queues: 1}.Config()
	var o *setup.OptionError
	if !errors.As(err, &o) || !slices.Contains(o.Known, "ixgbe") {
		t.Errorf("%+v", o)
	}
}

// The number of queues comes with the table that rss show or ethtool -x printed: the table alone may not name all.
func TestReadTableTellsQueues(t *testing.T) {
	for name, text := range map[string]string{
		"show.json":   `{"interface":"eth0","queue_count":8,"table":[0,1,0,1]}`,
		"ethtool.txt": "RX flow hash indirection table for eth0 with 8 RX ring(s):\n    0:      0     1     0     1\n",
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if table, queues, err := setup.ReadTable(file); err != nil || queues != 8 || !slices.Equal(table, rss.Table{0, 1, 0, 1}) {
			t.Errorf("%s: %v over %d queues, %v", name, table, queues, err)
		}
	}
}

func TestBadAssignments(t *testing.T) {
	for assignments, want := range map[string]string{
		"":                `"": want name=value, joined by commas: queues=8,table=512,key=symmetric,udp4=sd`,
		"queues":          `"queues": want name=value, joined by commas: queues=8,table=512,key=symmetric,udp4=sd`,
		"table=8,queues=": `"queues=": want name=value, joined by commas: queues=8,table=512,key=symmetric,udp4=sd`,
		"queues=x":        `"queues=x": want a number`,
		"queue=8":         `"queue=8": "queue" is not known: want profile, key, queues, table, fill, function, transform, inner, default-queue, fields, or a flow type such as udp4`,
	} {
		if _, err := (setup.Setup{}).With(assignments); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", assignments, err, want)
		}
	}
}

// Settings that were read from a NIC stay, except those that words replace.
func TestOver(t *testing.T) {
	base, err := nic.Default(3)
	if err != nil {
		t.Fatal(err)
	}
	base.Table, base.UDP4 = rss.Table{2, 1, 0}, rss.Addresses
	for _, c := range []struct {
		setup setup.Setup
		want  func(nic.Config) bool
	}{
		{setup.Setup{}, func(c nic.Config) bool { return slices.Equal(c.Table, base.Table) && c.UDP4 == rss.Addresses }},
		{setup.Setup{Queues: 2}, func(c nic.Config) bool { return slices.Equal(c.Table, rss.Table{0, 1, 0}) }},
		{setup.Setup{Fill: "equal 1"}, func(c nic.Config) bool { return slices.Equal(c.Table, rss.Table{0, 0, 0}) }},
		{setup.Setup{Key: "symmetric", Fields: []string{"udp4=sdfn"}}, func(c nic.Config) bool { return c.Key[2] == 0x6d && c.UDP4 == rss.FourTuple }},
		{setup.Setup{Profile: "ena"}, func(c nic.Config) bool { return c.Key[0] == 0xfa && c.Quirks.Initial != 0 && len(c.Table) == 3 }},
	} {
		if got, err := c.setup.Over(base); err != nil || !c.want(got) {
			t.Errorf("%+v: %+v, %v", c.setup, got, err)
		}
	}
	if _, err := (setup.Setup{Queues: -1}).Over(base); err == nil || err.Error() != "queues: -1: want 1 to 65536" {
		t.Errorf("negative queues: %v", err)
	}
}
