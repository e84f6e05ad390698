package stage

import "testing"

const procNetDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    9    0     0          0         0        0       0    0    9    0     0       0          0
replica0: 2776770   11307    0    1    0     0          0         0   550000    8107    0    7    0     0       0          0
replica1: 2776770   11307    0    1    0     0          0         0   550000    8107    0   71    0     0       0          0
`

func TestTransmitDrops(t *testing.T) {
	got, err := transmitDrops([]byte(procNetDev), map[string]bool{"replica0": true, "replica1": true})
	if err != nil || got != 78 {
		t.Errorf("dropped = %d, %v; want 78", got, err)
	}
	for name, text := range map[string]string{"a link is missing": "", "a line is short": "replica0: 1 2 3\n"} {
		if _, err := transmitDrops([]byte(text), map[string]bool{"replica0": true}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
