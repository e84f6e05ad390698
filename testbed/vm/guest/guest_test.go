package guest

import (
	"encoding/binary"
	"strings"
	"testing"

	"lbctl/testbed/vm/line"
)

// Outside a guest it does nothing.
func TestOutsideAGuest(t *testing.T) {
	if err := run(); err == nil || !strings.Contains(err.Error(), "not a guest") {
		t.Errorf("run: %v", err)
	}
}

func TestSighting(t *testing.T) {
	record := make([]byte, 16) // longer by the ring's padding
	binary.BigEndian.PutUint32(record, 0x01020304)
	binary.NativeEndian.PutUint32(record[4:], 3+1)
	binary.NativeEndian.PutUint32(record[8:], 0x51ccc178)
	got, err := sighting(record)
	if want := (line.Sighting{Tag: 0x01020304, Queue: 3, Hash: 0x51ccc178}); got != want || err != nil {
		t.Errorf("sighting %+v, %v; want %+v", got, err, want)
	}
	if _, err := sighting(record[:11]); err == nil {
		t.Error("took half a record")
	}
	clear(record[4:8])
	if _, err := sighting(record); err == nil {
		t.Error("took a frame of no queue")
	}
}

func TestLoadModulesRefuses(t *testing.T) {
	if err := loadModules(t.TempDir() + "/gone"); err == nil {
		t.Error("loaded the modules of a folder that is not there")
	}
}
