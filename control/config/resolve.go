package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"lbctl/control/api"
	"lbctl/control/reconcile"
	"lbctl/lb"
	"lbctl/rss"
)

// Resolve makes an intent of a document. What the document leaves out and may
// leave out is as in base. The error is an *Error with everything that is wrong.
func Resolve(doc api.Config, base Intent) (Intent, error) {
	var ps problems
	next := Intent{
		Datapath:   resolveDatapath(&ps, doc.Datapath, base.Datapath),
		Interfaces: base.Interfaces,
		Services:   resolveServices(&ps, doc.Services),
	}
	if doc.Interfaces != nil {
		next.Interfaces = resolveInterfaces(&ps, doc.Interfaces)
	}
	if err := ps.err(); err != nil {
		return Intent{}, err
	}
	if err := next.Validate(); err != nil {
		return Intent{}, err
	}
	return next, nil
}

// Validate says what is wrong with an intent that was put together from valid
// parts: what they are beside each other, and the limits. The error is an *Error.
func (i Intent) Validate() error {
	return inDocuments(lb.ValidateAll(i.State().Services, i.Datapath.Limits))
}

// ValidateAfter is Validate of an intent that comes after a valid one, which costs little if little has
// changed.
func (i Intent) ValidateAfter(old Intent) error {
	if i.Datapath.Limits != old.Datapath.Limits {
		return i.Validate()
	}
	return inDocuments(lb.ValidateChange(old.State().Services, i.State().Services, i.Datapath.Limits))
}

// inDocuments makes the problems of services those of a document.
func inDocuments(err error) error {
	var found lb.Problems
	errors.As(err, &found)
	var ps problems
	for _, p := range found {
		p.Field = inDocument(p.Field)
		ps = append(ps, Problem{Problem: p})
	}
	return ps.err()
}

// inDocument turns a path of package lb into one of the document: there the VIP's
// address is "vip" and its protocol "protocol".
func inDocument(field string) string {
	field = strings.Replace(field, "vip.protocol", "protocol", 1)
	return strings.Replace(field, "vip.address", "vip", 1)
}

func resolveDatapath(ps *problems, doc *api.Datapath, base Datapath) Datapath {
	if doc == nil {
		return base
	}
	if doc.ToeplitzKey != nil {
		key, err := rss.ParseKey(*doc.ToeplitzKey)
		if err != nil {
			ps.add("datapath.toeplitz_key", "want 40 to 256 bytes in hexadecimal, or a name: "+
				strings.Join(rss.KeyNames(), ", "), "%v", err)
		}
		base.ToeplitzKey = key
	}
	if l := doc.Limits; l != nil {
		const field = "datapath.limits."
		limit(ps, field+"services", l.Services, 1<<16, &base.Limits.Services)
		limit(ps, field+"replicas", l.Replicas, 1<<20, &base.Limits.Replicas)
		limit(ps, field+"slots", l.Slots, 1<<27, &base.Limits.Slots)
		flowsLimit(ps, field+"flows", l.Flows, &base.Limits.Flows)
	}
	return base
}

func limit(ps *problems, field string, doc *int64, most int64, to *uint32) {
	if doc == nil {
		return
	}
	if *doc < 1 || *doc > most {
		ps.add(field, fmt.Sprintf("want 1 to %d", most), "%d is out of range", *doc)
		return
	}
	*to = uint32(*doc)
}

// flowsLimit is limit for the one that is a power of two.
func flowsLimit(ps *problems, field string, doc *int64, to *uint32) {
	if doc == nil {
		return
	}
	if n := *doc; n < 1<<10 || n > 1<<28 || n&(n-1) != 0 {
		ps.add(field, fmt.Sprintf("want a power of two from 1024 to %d, %d for instance", 1<<28, lb.DefaultLimits.Flows),
			"%d is not one", n)
		return
	}
	*to = uint32(*doc)
}

// interfaceName is what the kernel allows, less what no operator means.
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,15}$`)

func resolveInterfaces(ps *problems, doc []api.Interface) []reconcile.Attachment {
	as := make([]reconcile.Attachment, 0, len(doc))
	first := map[string]int{}
	for n, d := range doc {
		field := fmt.Sprintf("interfaces[%d]", n)
		if j, twice := first[d.Name]; twice {
			ps.add(field+".name", "want every interface once", "%s is interfaces[%d] already", d.Name, j)
		}
		first[d.Name] = n
		as = append(as, resolveInterface(ps, field+".", d))
	}
	return as
}

func resolveInterface(ps *problems, field string, d api.Interface) reconcile.Attachment {
	switch {
	case d.Name == "":
		ps.add(field+"name", "write the interface's name: name: eth0", "missing")
	case !interfaceName.MatchString(d.Name) || d.Name == "." || d.Name == "..":
		ps.add(field+"name", "want 1 to 15 characters, as ip link shows it", "%q cannot be an interface", d.Name)
	}
	mode := choice(ps, field+"mode", d.Mode, lb.Auto, lb.ParseAttachMode, lb.Auto, lb.Native, lb.Generic)
	return reconcile.Attachment{Name: d.Name, Mode: mode}
}

// choice parses a name; "" is the default.
func choice[T fmt.Stringer](ps *problems, field, name string, def T, parse func(string) (T, error), all ...T) T {
	if name == "" {
		return def
	}
	v, err := parse(name)
	if err != nil {
		ps.add(field, wantOneOf(all), "%q is not known", name)
	}
	return v
}

func wantOneOf[T fmt.Stringer](all []T) string {
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = v.String()
	}
	last := len(names) - 1
	return "want " + strings.Join(names[:last], ", ") + " or " + names[last]
}

// whole parses a number from 0 to 2^32-1.
func whole(ps *problems, field string, n int64) uint32 {
	if n < 0 || n > math.MaxUint32 {
		ps.add(field, "want a whole number from 0 to 4294967295", "%d is out of range", n)
		return 0
	}
	return uint32(n)
}
