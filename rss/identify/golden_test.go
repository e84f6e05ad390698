package identify

import (
	"encoding/csv"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strconv"
	"testing"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// golden are observations of QEMU's virtio-net, a NIC that shares no code with this repository. The comments in the file
// say how it was made.
const golden = "../nic/testdata/virtio-net.csv"

// setup is a key that the NIC was given, and what it then did.
type setup struct {
	name string
	key  rss.Key
	seen []Observation
}

func readGolden(t *testing.T) (all []setup) {
	t.Helper()
	file, err := os.Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.Comment, r.FieldsPerRecord = '#', -1
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if row[0] == "setup" {
			key, err := rss.ParseKey(row[3])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, setup{name: row[1], key: key})
			continue
		}
		if o, ok := goldenPacket(t, row); ok {
			all[len(all)-1].seen = append(all[len(all)-1].seen, o)
		}
	}
}

// goldenPacket reads a packet; false for one without a hash.
func goldenPacket(t *testing.T, row []string) (Observation, bool) {
	t.Helper()
	frame, err := hex.DecodeString(row[2])
	if err != nil {
		t.Fatal(err)
	}
	hash, err := strconv.ParseUint(row[4], 0, 32)
	if err != nil {
		t.Fatal(err)
	}
	h, err := packet.Parse(frame)
	if err != nil || hash == 0 || !h.Flow.Source.IsValid() {
		return Observation{}, false
	}
	if !h.Ports {
		h.Flow.Protocol = 0 // fragments too are hashed without ports
	}
	return Observation{Flow: h.Flow, Hash: uint32(hash), HasHash: true}, true
}

// TestIdentifiesVirtioNet recovers the key from the hashes of another implementation.
func TestIdentifiesVirtioNet(t *testing.T) {
	setups := readGolden(t)
	if len(setups) == 0 {
		t.Fatal("no setups")
	}
	for _, s := range setups {
		t.Run(s.name, func(t *testing.T) {
			m := identified(t, s.seen, Options{}).Model
			sameKey(t, m, s.key, Range{319, 319})
			if m.Arrangement != (Arrangement{}) || m.Initial != 0 || len(m.Wrong) != 0 {
				t.Errorf("%v, initial value %08x, %d contradict", m.Arrangement, m.Initial, len(m.Wrong))
			}
			for _, c := range m.Classes {
				t.Logf("%s: %v of %d packets", c.Class, c.Fields, c.Observations)
			}
		})
	}
}
