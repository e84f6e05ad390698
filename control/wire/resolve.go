// Package wire turns documents, the wire types of control/api, into valid values of the domain, and back. A
// document is what somebody wrote: a configuration file, the body of a request, a stored revision. Every
// value of it may be wrong; the errors name all fields that are, and say what would be right.
package wire

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/rss"
)

// What a document may say of itself.
const (
	APIVersion = "lbctl/v1"
	Kind       = "LoadBalancer"
)

// word refuses another word than the only one that there is; "" is left out.
func word(ps *intent.Problems, field, is, want string) {
	if is != "" && is != want {
		ps.Add(field, "want "+want+", or leave it out", "%q is not known", is)
	}
}

// Resolve makes a valid intent of a document. Where the document leaves the datapath or the interfaces
// out, they are as in base, which is valid, and so is what was set by hand on replicas that there still are. The error is an
// *intent.Error with everything that is wrong.
func Resolve(doc api.Config, base intent.Intent) (intent.Intent, error) {
	var ps intent.Problems
	word(&ps, "apiVersion", doc.APIVersion, APIVersion)
	word(&ps, "kind", doc.Kind, Kind)
	next := intent.Intent{
		Datapath:   resolveDatapath(&ps, doc.Datapath, base.Datapath),
		Interfaces: base.Interfaces,
		Pools:      resolvePools(&ps, doc.Pools),
		Services:   resolveServices(&ps, doc.Services),
	}
	if doc.Interfaces != nil {
		next.Interfaces = resolveInterfaces(&ps, doc.Interfaces)
	}
	if err := ps.Err(); err != nil {
		return intent.Intent{}, err
	}
	next, err := next.Linked()
	if err != nil {
		return intent.Intent{}, err
	}
	next = next.Keeping(base.Overrides)
	if len(base.Services) == 0 {
		err = next.Validate()
	} else {
		err = next.ValidateAfter(base)
	}
	if err != nil {
		return intent.Intent{}, err
	}
	return next, nil
}

func resolveDatapath(ps *intent.Problems, doc *api.Datapath, base intent.Datapath) intent.Datapath {
	if doc == nil {
		return base
	}
	if doc.ToeplitzKey != nil {
		key, err := rss.ParseKey(*doc.ToeplitzKey)
		if err != nil {
			ps.Add("datapath.toeplitz_key", "want 40 to 256 bytes in hexadecimal, or a name: "+
				strings.Join(rss.KeyNames(), ", "), "%v", err)
		}
		base.ToeplitzKey = key
	}
	base.NoService = choice(ps, "datapath.vip_no_service", doc.VIPNoService, base.NoService, lb.ParseNoService, lb.DropNoService, lb.RejectNoService)
	if l := doc.Limits; l != nil {
		const field = "datapath.limits."
		limit(ps, field+"services", l.Services, 1<<16, &base.Limits.Services)
		limit(ps, field+"replicas", l.Replicas, 1<<20, &base.Limits.Replicas)
		limit(ps, field+"slots", l.Slots, 1<<27, &base.Limits.Slots)
		flowsLimit(ps, field+"flows", l.Flows, &base.Limits.Flows)
		limit(ps, field+"source_ranges", l.SourceRanges, 1<<20, &base.Limits.SourceRanges)
	}
	return base
}

func limit(ps *intent.Problems, field string, doc *int64, most int64, to *uint32) {
	if doc == nil {
		return
	}
	if *doc < 1 || *doc > most {
		ps.Add(field, fmt.Sprintf("want 1 to %d", most), "%d is out of range", *doc)
		return
	}
	*to = uint32(*doc)
}

// flowsLimit is limit for the number of flows, a power of two.
func flowsLimit(ps *intent.Problems, field string, doc *int64, to *uint32) {
	if doc == nil {
		return
	}
	if n := *doc; n < 1<<10 || n > lb.MaxFlows || n&(n-1) != 0 {
		ps.Add(field, fmt.Sprintf("want a power of two from 1024 to %d, %d for instance", lb.MaxFlows, lb.DefaultLimits.Flows),
			"%d is not one", n)
		return
	}
	*to = uint32(*doc)
}

// interfaceName allows less than the kernel: no spaces, no characters that a terminal would interpret.
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_.:@-]{1,15}$`)

func resolveInterfaces(ps *intent.Problems, doc []api.Interface) []intent.Interface {
	as := make([]intent.Interface, 0, len(doc))
	first := map[string]int{}
	for n, d := range doc {
		field := fmt.Sprintf("interfaces[%d]", n)
		if j, twice := first[d.Name]; twice {
			ps.Add(field+".name", "want every interface once", "%s is interfaces[%d] already", d.Name, j)
		}
		first[d.Name] = n
		as = append(as, resolveInterface(ps, field+".", d))
	}
	return as
}

func resolveInterface(ps *intent.Problems, field string, d api.Interface) intent.Interface {
	switch {
	case d.Name == "":
		ps.Add(field+"name", "write the interface's name: name: eth0", "missing")
	case !interfaceName.MatchString(d.Name) || d.Name == "." || d.Name == "..":
		ps.Add(field+"name", "want 1 to 15 characters, as ip link shows it", "%q cannot be an interface", d.Name)
	}
	mode := choice(ps, field+"mode", d.Mode, lb.Auto, lb.ParseAttachMode, lb.Auto, lb.Native, lb.Generic)
	return intent.Interface{Name: d.Name, Mode: mode}
}

// ResolveInterface makes an interface of a document. The error is an *intent.Error with
// fields "name" and "mode".
func ResolveInterface(doc api.Interface) (intent.Interface, error) {
	var ps intent.Problems
	a := resolveInterface(&ps, "", doc)
	return a, ps.Err()
}

// choice parses a name; "" is the default.
func choice[T fmt.Stringer](ps *intent.Problems, field, name string, def T, parse func(string) (T, error), all ...T) T {
	if name == "" {
		return def
	}
	v, err := parse(name)
	if err != nil {
		ps.Add(field, wantOneOf(all), "%q is not known", name)
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
func whole(ps *intent.Problems, field string, n int64) uint32 {
	if n < 0 || n > math.MaxUint32 {
		ps.Add(field, "want a whole number from 0 to 4294967295", "%d is out of range", n)
		return 0
	}
	return uint32(n)
}

// Nearest returns the known name that a misspelt one probably means: at most two letters inserted, removed or
// replaced, case aside, and not a wholly different short one.
func Nearest(name string, known []string) (string, bool) {
	if len(known) == 0 {
		return "", false
	}
	distance := func(to string) int { return levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(to)) }
	near := slices.MinFunc(known, func(a, b string) int { return distance(a) - distance(b) })
	d := distance(near)
	return near, d <= 2 && d < len(near)
}
