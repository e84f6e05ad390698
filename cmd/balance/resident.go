package balance

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settled is how long after the start the daemon returns the memory that only the start needed.
const settled = 5 * time.Second

// returnMemory returns to the kernel what only the start needed, when it is over.
func returnMemory(log *slog.Logger) func(context.Context) {
	return func(ctx context.Context) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(settled):
		}
		debug.FreeOSMemory()
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
