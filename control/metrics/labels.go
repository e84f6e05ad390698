package metrics

import (
	"fmt"
	"slices"
	"strings"

	"lbctl/lb"
)

// Labels are the labels that the series of services and replicas have. Without service there are none of either,
// without replica none of replicas.
type Labels struct{ Service, VIP, Protocol, Replica bool }

// DefaultLabels name a series; lbctl_service_info gives a service's VIP and protocol once.
func DefaultLabels() Labels { return Labels{Service: true, Replica: true} }

// Set reads a list: "service,replica", "" for none. With String and Type it is a flag. The error wraps lb.ErrInvalid.
func (l *Labels) Set(text string) error {
	var set Labels
	for name := range strings.SplitSeq(text, ",") {
		if text == "" {
			break
		}
		at := slices.Index(labelNames, name)
		if at < 0 || *set.all()[at] {
			return fmt.Errorf("label %q: %w: want %s, each once, separated by commas", name, lb.ErrInvalid, strings.Join(labelNames, ", "))
		}
		*set.all()[at] = true
	}
	if text != "" && !set.Service {
		return fmt.Errorf("%w: want service among them, or none", lb.ErrInvalid)
	}
	*l = set
	return nil
}

// labelNames are the names of Labels.all.
var labelNames = []string{"service", "vip", "protocol", "replica"}

func (l *Labels) all() []*bool { return []*bool{&l.Service, &l.VIP, &l.Protocol, &l.Replica} }

// String returns the list.
func (l *Labels) String() string {
	var names []string
	for n, has := range l.all() {
		if *has {
			names = append(names, labelNames[n])
		}
	}
	return strings.Join(names, ",")
}

// Type is what the help of a flag calls it.
func (l *Labels) Type() string { return "labels" }
