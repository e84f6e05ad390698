package bed

import (
	"slices"
	"testing"
)

const procNetDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    9    0     0          0         0        0       0    0    9    0     0       0          0
replica0: 2776770   11307    0    1    0     0          0         0   550000    8107    0    7    0     0       0          0
replica1: 2776770   11307    0    1    0     0          0         0   550000    8107    0   71    0     0       0          0
`

func TestTransmitted(t *testing.T) {
	got, err := transmitted([]byte(procNetDev), map[string]int{"replica0": 0, "replica1": 1})
	if want := []Link{{Taken: 8107, Dropped: 7}, {Taken: 8107, Dropped: 71}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("links = %v, %v; want %v", got, err, want)
	}
	for name, text := range map[string]string{"a link is missing": "", "a line is short": "replica0: 1 2 3\n"} {
		if _, err := transmitted([]byte(text), map[string]int{"replica0": 0}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
