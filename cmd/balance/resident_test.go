package balance

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Of a file's mappings those are unmapped whose pages are the file's: not what is written to, nor what was relocated or probed.
func TestUnchangedMappings(t *testing.T) {
	const smaps = `00400000-015a0000 r-xp 00000000 fe:00 10011780                           /usr/bin/lbctl
Rss:               13864 kB
Anonymous:             0 kB
015a0000-02657000 r--p 011a0000 fe:00 10011780                           /usr/bin/lbctl
Anonymous:            16 kB
02657000-02c7c000 rw-p 02257000 fe:00 10011780                           /usr/bin/lbctl
Anonymous:             0 kB
02c7c000-02d7c000 r--s 02257000 fe:00 10011780                           /usr/bin/lbctl
Anonymous:             0 kB
02d7c000-02e7c000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f5816b41000-7f5816c97000 r-xp 00026000 fe:00 326269                     /usr/lib/libc.so.6
Anonymous:             0 kB
`
	got, err := unchanged(smaps, "/usr/bin/lbctl")
	if want := (mapping{0x400000, 0x15a0000, 13864}); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("unchanged: %v, %v, want %v alone", got, err, want)
	}
}

// The process goes on without the pages of its program that it does not use.
func TestUnmapProgram(t *testing.T) {
	resident := func() (all int) {
		t.Helper()
		mappings, err := programMappings()
		if err != nil || len(mappings) == 0 {
			t.Fatalf("the program's mappings: %v, %v", mappings, err)
		}
		for _, m := range mappings {
			all += m.resident
		}
		return all
	}
	mappings, err := programMappings()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mappings { // before Linux 5.14 those that were used are mapped
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_POPULATE_READ)
	}
	before := resident()
	if err := unmapProgram(); err != nil {
		t.Fatal(err)
	}
	if after := resident(); after > before*3/4 {
		t.Errorf("%d KiB of the program's code and constants are resident, of %d before", after, before)
	}
}

// Garbage is collected at the next limit, and as usual after the last, when most of a limit is in use, and not before.
func TestLateness(t *testing.T) {
	t.Cleanup(collectUsually)
	used := make([]byte, 8<<20)
	const small, next, large = 1 << 20, 1 << 40, 1 << 41
	for _, c := range []struct {
		limits  []int64
		limit   int64
		percent int
	}{
		{[]int64{large}, large, -1},
		{[]int64{small, next}, next, -1},
		{[]int64{small}, math.MaxInt64, gcPercent},
	} {
		l := &lateness{limits: c.limits}
		l.begin()
		var limit int64
		for wait := time.Now().Add(10 * time.Second); limit != c.limit && time.Now().Before(wait); {
			runtime.GC()
			time.Sleep(time.Millisecond) // what follows a collection runs beside the program
			limit = debug.SetMemoryLimit(-1)
		}
		if percent := debug.SetGCPercent(-1); limit != c.limit || percent != c.percent {
			t.Errorf("at %d: limit %d and %d percent, want %d and %d", c.limits, limit, percent, c.limit, c.percent)
		}
		l.end()
		for range 10 {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
		if limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(gcPercent); limit != math.MaxInt64 || percent != gcPercent {
			t.Errorf("after the end: limit %d and %d percent", limit, percent)
		}
	}
	runtime.KeepAlive(used)
}
