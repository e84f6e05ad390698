package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine is where something was measured, and when.
type machine struct {
	processor string
	// cache is the level-2 cache of a core, as in "512 KiB".
	cache  string
	kernel string
	date   time.Time
	cores  int
	// virtual: the processor is that of a hypervisor.
	virtual bool
	// load is the load average of the minute before.
	load float64
}

// String is a sentence without its end.
func (m machine) String() string {
	cores := fmt.Sprintf("%d cores", m.cores)
	if m.virtual {
		cores += " of a virtual machine"
	}
	return fmt.Sprintf("%s, %s of level-2 cache a core, %s, Linux %s, %s, load average %.2f before",
		m.processor, m.cache, cores, m.kernel, m.date.Format("2 January 2006"), m.load)
}

// lines are the machine as the benchmark format has it, so that it stays with what was measured.
func (m machine) lines() string {
	return fmt.Sprintf("processor: %s\ncache: %s\nkernel: %s\ndate: %s\ncores: %d\nvirtual: %t\nload: %.2f\n",
		m.processor, m.cache, m.kernel, m.date.Format(time.DateOnly), m.cores, m.virtual, m.load)
}

// setters read each line.
func (m *machine) setters() map[string]func(value string) error {
	return map[string]func(string) error{
		"processor": func(v string) error { m.processor = v; return nil },
		"cache":     func(v string) error { m.cache = v; return nil },
		"kernel":    func(v string) error { m.kernel = v; return nil },
		"date":      func(v string) (err error) { m.date, err = time.Parse(time.DateOnly, v); return err },
		"cores":     func(v string) (err error) { m.cores, err = strconv.Atoi(v); return err },
		"virtual":   func(v string) (err error) { m.virtual, err = strconv.ParseBool(v); return err },
		"load":      func(v string) (err error) { m.load, err = strconv.ParseFloat(v, 64); return err },
	}
}

// thisMachine returns the machine that it runs on, now.
func thisMachine() (m machine, err error) {
	text := func(path string) string {
		b, readErr := os.ReadFile(path)
		if err == nil {
			err = readErr
		}
		return strings.TrimSpace(string(b))
	}
	cpu := text("/proc/cpuinfo")
	m = machine{
		processor: processor(cpu), virtual: regexp.MustCompile(`(?m)^flags\s*:.* hypervisor\b`).MatchString(cpu),
		kernel: text("/proc/sys/kernel/osrelease"), cores: runtime.NumCPU(), date: time.Now().UTC(),
	}
	average, _, _ := strings.Cut(text("/proc/loadavg"), " ")
	if err == nil {
		m.load, err = strconv.ParseFloat(average, 64)
	}
	if err != nil {
		return m, fmt.Errorf("look at the machine: %w", err)
	}
	m.cache, err = levelTwo("/sys/devices/system/cpu/cpu0/cache")
	return m, err
}

// processor returns what /proc/cpuinfo says of the first one, as in "AMD EPYC, family 25 model 1".
func processor(cpuinfo string) string {
	value := func(key string) string {
		if m := regexp.MustCompile(`(?m)^` + key + `\s*: (.*)$`).FindStringSubmatch(cpuinfo); m != nil {
			return m[1]
		}
		return ""
	}
	name := value("model name")
	if name == "" { // as on arm64
		return runtime.GOARCH + " processor"
	}
	if value("cpu family") == "" {
		return name
	}
	return fmt.Sprintf("%s, family %s model %s", name, value("cpu family"), value("model"))
}

// levelTwo returns the size of the cache of level 2 in the folder of a core's caches.
func levelTwo(folder string) (string, error) {
	levels, err := filepath.Glob(folder + "/index*/level")
	if err != nil {
		return "", err
	}
	for _, path := range levels {
		if level, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(level)) != "2" {
			continue
		}
		size, err := os.ReadFile(filepath.Dir(path) + "/size")
		return strings.TrimSuffix(strings.TrimSpace(string(size)), "K") + " KiB", err
	}
	return "an unknown size", nil
}
