package ingress

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// machine is the directory over proc and sys, where the kernel describes devices and interrupts.
type machine struct{ root string }

// core is the core that serves the interrupt of a receive queue.
type core struct {
	// number is -1 if it is not known, or not one core.
	number int
	// interrupt and name are the kernel's, 0 and "" if no interrupt was found.
	interrupt int
	name      string
	// why says why number is -1.
	why string
}

// core finds the interrupt of a receive queue by its name in /proc/interrupts, and the core that the kernel runs it
// on. Drivers make that name of the interface's or the device's name and the number of the queue: "eth0-TxRx-3",
// "virtio2-input.0", "mlx5_comp3@pci:0000:03:00.0".
//
// /proc/interrupts lists the interrupts of the whole machine, but /sys shows the interfaces of the network namespace
// that it was mounted in. The MAC address tells whether that is the interface meant, or another one of its name.
func (m machine) core(name, mac string, queue int) core {
	shown, err := os.ReadFile(m.path("sys/class/net", name, "address"))
	if err != nil || mac == "" || strings.TrimSpace(string(shown)) != mac {
		return core{number: -1, why: "/sys does not show " + name + ": it is mounted in another network namespace"}
	}
	table, err := os.ReadFile(m.path("proc/interrupts"))
	if err != nil {
		return core{number: -1, why: "the interrupts cannot be read: " + err.Error()}
	}
	device, err := os.Readlink(m.path("sys/class/net", name, "device"))
	if err != nil {
		return core{number: -1, why: name + " is no device, and has no interrupts"}
	}
	owners := []string{name, filepath.Base(device)}
	for line := range strings.Lines(string(table)) {
		number, action, ok := interruptOf(line)
		if ok && serves(action, owners, queue) {
			return m.affinity(core{number: -1, interrupt: number, name: action})
		}
	}
	return core{number: -1, why: "no interrupt has the name of " + name + " and of this queue: the driver has none of its own"}
}

// interruptOf reads a line of /proc/interrupts: number, counts, and at the end what it is for.
func interruptOf(line string) (number int, action string, ok bool) {
	head, rest, found := strings.Cut(line, ":")
	number, err := strconv.Atoi(strings.TrimSpace(head))
	fields := strings.Fields(rest)
	if !found || err != nil || len(fields) == 0 {
		return 0, "", false
	}
	return number, fields[len(fields)-1], true
}

// queueName is how drivers name the interrupt of a receive queue.
var queueName = regexp.MustCompile(`(?i)[-_.](?:txrx|tx-rx|rxtx|rx-tx|rx|input|fp|comp|queue|q)[-_.]?(\d+)(?:$|[@-])`)

// serves tells whether an interrupt is that of a receive queue of one of the owners.
func serves(action string, owners []string, queue int) bool {
	if !slices.ContainsFunc(owners, func(o string) bool { return hasWord(action, o) }) {
		return false
	}
	m := queueName.FindStringSubmatch(action)
	return m != nil && m[1] == strconv.Itoa(queue)
}

// hasWord tells whether a name is in a text and not a part of a longer one: eth1 is not in eth10.
func hasWord(text, name string) bool {
	isWord := func(r rune) bool {
		return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(name)
		if (start == 0 || !isWord(rune(text[start-1]))) && (end == len(text) || !isWord(rune(text[end]))) {
			return true
		}
		from = end
	}
}

// affinity adds the core that an interrupt runs on.
func (m machine) affinity(c core) core {
	for _, file := range []string{"effective_affinity_list", "smp_affinity_list"} {
		text, err := os.ReadFile(m.path("proc/irq", strconv.Itoa(c.interrupt), file))
		cores := strings.TrimSpace(string(text))
		if err != nil || cores == "" {
			continue
		}
		if n, err := strconv.Atoi(cores); err == nil {
			c.number = n
		} else {
			c.why = "the interrupt may run on any of " + cores
		}
		return c
	}
	c.why = "the kernel does not tell where the interrupt runs"
	return c
}

func (m machine) path(parts ...string) string {
	return filepath.Join(append([]string{m.root}, parts...)...)
}
