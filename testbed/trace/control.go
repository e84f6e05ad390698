package trace

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Set writes a control file of the instance: "buffer_size_kb", "options/event-fork". What the files mean is in
// Documentation/trace/ftrace.rst.
func (i *Instance) Set(file, value string) error { return i.write(file, os.O_TRUNC, value) }

func (i *Instance) write(file string, flags int, value string) error {
	f, err := os.OpenFile(filepath.Join(i.dir, file), os.O_WRONLY|flags, 0)
	if err != nil {
		return fmt.Errorf("set tracer's %s: %w", file, err)
	}
	_, err = f.WriteString(value)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("set tracer's %s to %q: %w", file, value, err)
	}
	return nil
}

// Functions makes the instance record calls of functions of the kernel. A name may have stars. It is an error if the
// kernel has no function of a name, or cannot trace it: the compiler may have put its code into its callers'.
func (i *Instance) Functions(names ...string) error {
	if err := i.Set("set_ftrace_filter", ""); err != nil {
		return err
	}
	for _, name := range names {
		if err := i.write("set_ftrace_filter", os.O_APPEND, name); err != nil {
			return err
		}
	}
	return i.Set("current_tracer", "function")
}

// Event makes the instance record an event: "lock:contention_begin". A filter, if it is not empty, is a condition
// on the event's fields (Documentation/trace/events.rst): "flags == 1".
func (i *Instance) Event(name, filter string) error {
	folder := filepath.Join("events", filepath.Join(strings.Split(name, ":")...))
	if filter != "" {
		if err := i.Set(filepath.Join(folder, "filter"), filter); err != nil {
			return err
		}
	}
	return i.Set(filepath.Join(folder, "enable"), "1")
}

// Threads makes the instance record events that happen in some threads alone, by their numbers. What an interrupt
// does on top of a thread counts as the thread's.
func (i *Instance) Threads(numbers ...int) error {
	list := make([]string, len(numbers))
	for k, n := range numbers {
		list[k] = strconv.Itoa(n)
	}
	return i.Set("set_event_pid", strings.Join(list, " "))
}

// Stacks makes the instance record with every event the functions that led there.
func (i *Instance) Stacks() error { return i.Set("options/stacktrace", "1") }

// Start starts the recording.
func (i *Instance) Start() error { return i.Set("tracing_on", "1") }

// Stop stops the recording. The records stay.
func (i *Instance) Stop() error { return i.Set("tracing_on", "0") }

// Clear removes all records, and forgets how many were lost.
func (i *Instance) Clear() error { return i.Set("trace", "") }
