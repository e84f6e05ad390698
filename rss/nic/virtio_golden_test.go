package nic_test

import (
	"encoding/csv"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// golden is the setup of another implementation of a NIC, and its results for some frames.
type golden struct {
	name    string
	config  nic.Config
	packets []goldenPacket
}

type goldenPacket struct {
	kind  string
	frame []byte
	queue rss.Queue
	// hash is 0 where the NIC reported none.
	hash uint32
}

// readGolden reads testdata/virtio-net.csv, which says itself where it is from.
func readGolden(t *testing.T) (all []golden) {
	t.Helper()
	f, err := os.Open("testdata/virtio-net.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment, r.FieldsPerRecord = '#', -1
	records, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		switch {
		case record[0] == "setup" && len(record) == 11:
			all = append(all, goldenSetup(t, record))
		case record[0] == "packet" && len(record) == 5 && len(all) > 0:
			g := &all[len(all)-1]
			g.packets = append(g.packets, newGoldenPacket(t, record))
		default:
			t.Fatalf("record %q is of no known form", record)
		}
	}
	return all
}

// goldenSetup reads: setup, name, queues, key, table, fields of tcp4, udp4, ip4, tcp6, udp6, ip6.
func goldenSetup(t *testing.T, record []string) golden {
	t.Helper()
	key, err := hex.DecodeString(record[3])
	if err != nil {
		t.Fatal(err)
	}
	g := golden{name: record[1], config: nic.Config{Key: key}}
	for entry := range strings.FieldsSeq(record[4]) {
		g.config.Table = append(g.config.Table, rss.Queue(number(t, entry)))
	}
	c := &g.config
	for i, to := range []*rss.Fields{&c.TCP4, &c.UDP4, &c.IP4, &c.TCP6, &c.UDP6, &c.IP6} {
		if *to, err = rss.ParseFields(record[5+i]); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// newGoldenPacket reads: packet, kind, frame, queue, hash.
func newGoldenPacket(t *testing.T, record []string) goldenPacket {
	t.Helper()
	frame, err := hex.DecodeString(record[2])
	if err != nil {
		t.Fatal(err)
	}
	return goldenPacket{record[1], frame, rss.Queue(number(t, record[3])), number(t, record[4])}
}

func number(t *testing.T, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// The model names the queue and the hash that QEMU's virtio-net gave each packet.
func TestVirtioGolden(t *testing.T) {
	kinds, setups, packets, hashed := map[string]int{}, readGolden(t), 0, 0
	for _, g := range setups {
		n, err := nic.New(g.config)
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		for _, p := range g.packets {
			kinds[p.kind]++
			packets++
			got := n.Classify(p.frame)
			if got.Hash != p.hash || got.Queue != p.queue || got.Hashed != (p.hash != 0) {
				t.Errorf("%s, %s: hash %#08x, queue %d; the NIC had %#08x, %d: %x",
					g.name, p.kind, got.Hash, got.Queue, p.hash, p.queue, p.frame)
			}
			if got.Hashed {
				hashed++
			}
		}
	}
	if len(setups) < 8 || len(kinds) < 11 || packets < 400 || hashed < 360 || hashed == packets {
		t.Errorf("%d packets, %d hashed, of %d kinds in %d setups: the file is cut short", packets, hashed, len(kinds), len(setups))
	}
}

// Under another key no hash is the same, so the test above can fail.
func TestVirtioGoldenUnderAnotherKey(t *testing.T) {
	for _, g := range readGolden(t) {
		for i := range g.config.Key {
			g.config.Key[i] ^= byte(3*i + 1)
		}
		n, err := nic.New(g.config)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range g.packets {
			if got := n.Classify(p.frame); got.Hashed && got.Hash == p.hash {
				t.Errorf("%s, %s: hash %#08x under another key, too: %x", g.name, p.kind, got.Hash, p.frame)
			}
		}
	}
}
