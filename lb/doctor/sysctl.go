package doctor

import (
	"fmt"
	"strings"
)

// Sysctls are kernel parameters by their path below /proc/sys. One that is not there could not be read.
type Sysctls map[string]int

// Conf names a parameter of an interface, or of "all".
func Conf(family, name, leaf string) string { return "net/" + family + "/conf/" + name + "/" + leaf }

// either returns the larger of the values of "all" and of an interface, which is what counts
// for most (IN_DEV_MAXCONF of include/linux/inetdevice.h).
func (s Sysctls) either(name, leaf string) (value int, known bool) {
	all, ok1 := s[Conf("ipv4", "all", leaf)]
	own, ok2 := s[Conf("ipv4", name, leaf)]
	return max(all, own), ok1 && ok2
}

// set is the command that sets parameters.
func set(value int, keys ...string) string {
	text := "sysctl -w"
	for _, k := range keys {
		text += fmt.Sprintf(" %s=%d", dotted(k), value)
	}
	return text
}

// dotted is a parameter's name as people write it. A dot in an interface's name forbids that.
func dotted(key string) string {
	if strings.Contains(key, ".") {
		return key
	}
	return strings.ReplaceAll(key, "/", ".")
}
