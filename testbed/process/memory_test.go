package process

import "testing"

func TestFieldOfProc(t *testing.T) {
	text := []byte("Name:\tlbctl\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\nmap_id:\t17\n")
	for name, want := range map[string]uint64{"VmHWM": 2048, "VmRSS": 1024, "map_id": 17, "memlock": 0, "Name": 0, "VmR": 0} {
		if got := field(text, name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
