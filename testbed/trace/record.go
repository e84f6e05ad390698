package trace

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Record is one thing that the kernel did.
type Record struct {
	// Task is the name of the thread that was running, "<...>" if the kernel has forgotten it, Thread its number, CPU the
	// core.
	Task        string
	Thread, CPU int
	// Context is that of the code, a letter each: interrupts off, reschedule wanted, interrupt (h: hard, s: soft, H:
	// hard within soft, z and Z: not maskable), depth of preemption, depth of migration.
	Context string
	// Time is that of CLOCK_MONOTONIC, in whole microseconds.
	Time time.Duration
	// Name is that of the event or function.
	Name string
	// Caller is the function that called it; empty for an event.
	Caller string
	// Stack are the functions that led there, the innermost first, if the instance records stacks.
	Stack []string
	// Text is what the event says: "skbaddr=0000000011a0b2c4 len=64"; of a system call "(fd: 3, backlog: 5)" or
	// "-> 0x0". Empty for a function.
	Text string
}

// Record records what happens while f runs. That records were lost is an error.
func (i *Instance) Record(f func() error) ([]Record, error) {
	err := errors.Join(i.Clear(), i.Start())
	if err == nil {
		err = f()
	}
	if err := errors.Join(err, i.Stop()); err != nil {
		return nil, err
	}
	if lost, err := i.Lost(); err != nil || lost > 0 {
		return nil, errors.Join(err, fmt.Errorf("the tracer lost %d records", lost))
	}
	return i.Read()
}

// Read returns all records in the order of their times. Stop comes first.
func (i *Instance) Read() ([]Record, error) {
	f, err := os.Open(filepath.Join(i.dir, "trace"))
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	defer f.Close()
	return parse(f)
}

func parse(r io.Reader) (all []Record, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		function, inner := strings.CutPrefix(line, " => ")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case inner && len(all) > 0:
			last := &all[len(all)-1]
			last.Stack = append(last.Stack, function)
		case strings.HasSuffix(line, ": <stack trace>"): // of the record before
		default:
			record, err := parseRecord(line)
			if err != nil {
				return nil, err
			}
			all = append(all, record)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	return all, nil
}

// The form of a line: task-thread [core] context seconds: what. The name of a task may hold anything.
var (
	lineForm     = regexp.MustCompile(`^ *(.*)-(\d+) +\[(\d+)\] +(\S+) +(\d+)\.(\d{6}): (.*)$`)
	functionForm = regexp.MustCompile(`^(\S+) <-(\S+)$`)
	eventForm    = regexp.MustCompile(`^(\w+)(?:: ?| )?(.*)$`) // "name: text"; of system calls "name(text)" and "name -> result"
)

func parseRecord(line string) (r Record, err error) {
	f := lineForm.FindStringSubmatch(line)
	if f == nil {
		return r, fmt.Errorf("read trace: %q: want a record", line)
	}
	r.Task, r.Context = f[1], f[4]
	var errs [4]error
	var seconds, micros int64
	r.Thread, errs[0] = strconv.Atoi(f[2])
	r.CPU, errs[1] = strconv.Atoi(f[3])
	seconds, errs[2] = strconv.ParseInt(f[5], 10, 64)
	micros, errs[3] = strconv.ParseInt(f[6], 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return r, fmt.Errorf("read trace: %q: %w", line, err)
	}
	r.Time = time.Duration(seconds)*time.Second + time.Duration(micros)*time.Microsecond
	if call := functionForm.FindStringSubmatch(f[7]); call != nil {
		r.Name, r.Caller = call[1], call[2]
		return r, nil
	}
	event := eventForm.FindStringSubmatch(f[7])
	if event == nil {
		return r, fmt.Errorf("read trace: %q: want an event or a function", line)
	}
	r.Name, r.Text = event[1], event[2]
	return r, nil
}

// Lost returns how many records had no room in the buffer since Clear: the number of what happened is that of Read only
// if it is 0.
func (i *Instance) Lost() (lost int, err error) {
	files, err := filepath.Glob(filepath.Join(i.dir, "per_cpu", "cpu*", "stats"))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("find statistics of tracer: found %d, %w", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, fmt.Errorf("read statistics of tracer: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if name != "overrun" && name != "dropped events" {
				continue
			}
			n, err := strconv.Atoi(value)
			if err != nil {
				return 0, fmt.Errorf("read statistics of tracer: %w", err)
			}
			lost += n
		}
	}
	return lost, nil
}
