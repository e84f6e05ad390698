package balance

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// settled is how long after the start the daemon returns the memory that only the start needed.
const settled = 5 * time.Second

// returnMemory returns to the kernel what only the start needed, when it is over; started is what collectLate returns.
func returnMemory(log *slog.Logger, started func()) func(context.Context) {
	return func(ctx context.Context) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(settled):
		}
		started()
		if err := unmapProgram(); err != nil {
			log.Debug("pages of the program stay mapped that only the start needed", "error", err)
		}
	}
}

// unmapProgram takes the pages of the program's own code and constants out of this process. The start has touched most of them, if only
// because the kernel maps sixteen pages when one is touched; those that are used are mapped again when they are next used, from the
// page cache. So this saves no memory by itself: the kernel holds what it has read of the file anyway, once for all processes.
// But it may now drop, when it needs memory, what no process maps, and what is resident of this process is what it uses.
func unmapProgram() error {
	all, err := programMappings()
	if err != nil {
		return err
	}
	for _, m := range all {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("unmap %x to %x of the program: %w", m.from, m.to, errno)
		}
	}
	return nil
}

// mapping is a range of addresses, of which so many KiB are resident.
type mapping struct {
	from, to uintptr
	resident int
}

// programMappings returns those of the program's code and constants.
func programMappings() ([]mapping, error) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return nil, err
	}
	return unchanged(string(smaps), program)
}

// unchanged returns the mappings of a file that nobody may write and nobody has changed: what is in the pages is what is in
// the file. A loader that relocates, a debugger and a probe leave pages that are not.
func unchanged(smaps, file string) (all []mapping, err error) {
	var at mapping
	var of bool
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 1 && !strings.HasSuffix(fields[0], ":"):
			if _, err := fmt.Sscanf(fields[0], "%x-%x", &at.from, &at.to); err != nil {
				return nil, fmt.Errorf("smaps: %q: %w", line, err)
			}
			of = len(fields) == 6 && fields[5] == file && (fields[1] == "r-xp" || fields[1] == "r--p")
		case of && fields[0] == "Rss:":
			if at.resident, err = strconv.Atoi(fields[1]); err != nil {
				return nil, fmt.Errorf("smaps: %q: %w", line, err)
			}
		case of && fields[0] == "Anonymous:" && fields[1] == "0":
			all = append(all, at)
		}
	}
	return all, nil
}

// gcPercent is how much garbage the daemon keeps, in percent of what it uses: it does little and lives long, so memory is
// dearer than time. With 10,000 services of 10 replicas it is resident with 290 MB in place of 400.
const gcPercent = 40

// startMemory is how many bytes the daemon takes, while it starts, before it collects garbage: as few as a small configuration
// needs, and when most of these are in use, more.
func startMemory() []int64 { return []int64{40 << 20, 224 << 20} }

// collectLate puts off the collection of garbage while the daemon starts. Most of what a start makes it keeps, so that to look
// through it again each time it has grown by gcPercent takes a quarter of the start and finds little. What it returns is to be
// called when the start is over: it returns to the kernel what only that needed. Who sets GOGC or GOMEMLIMIT has decided otherwise.
func collectLate() (started func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return debug.FreeOSMemory
	}
	l := &lateness{limits: startMemory()}
	l.begin()
	return func() {
		l.end()
		debug.FreeOSMemory()
	}
}

// lateness is at how many bytes garbage is collected: at the first of limits, at the next ones when six tenths of what the first leave to
// the heap are in use after a collection, and as usual after the last. By a limit alone the daemon would then collect without end.
type lateness struct {
	mu     sync.Mutex
	limits []int64
}

func (l *lateness) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	debug.SetGCPercent(-1)
	l.await()
}

// await sets the limit, and looks again after the next collection. The caller holds mu.
func (l *lateness) await() {
	debug.SetMemoryLimit(l.limits[0])
	runtime.AddCleanup(&struct{ _ *int }{}, (*lateness).collected, l)
}

func (l *lateness) collected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.limits) == 0 {
		return
	}
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"}}
	if metrics.Read(heap); heap[0].Value.Uint64() >= heap[1].Value.Uint64()*6/10 {
		l.limits = l.limits[1:]
	}
	if len(l.limits) == 0 {
		collectUsually()
		return
	}
	l.await()
}

// end collects garbage as usual from now on.
func (l *lateness) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = nil
	collectUsually()
}

// collectUsually collects garbage as gcPercent says.
func collectUsually() {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(math.MaxInt64)
}
