package intent

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"lbctl/lb"
)

// replicasOf finds in the field of a problem the number of a service, its replica and what follows.
var replicasOf = regexp.MustCompile(`^services\[(\d+)\]\.replicas(.*)$`)

// Problems returns problems with the services of the intent as an *Error, nil for none. Those with replicas that services have by
// a pool point to the replica in the pool, where it can be corrected, and name the service that cannot have it. What many
// services say alike is told of the first.
func (i Intent) Problems(all []lb.Problem) error {
	var ps Problems
	told := map[string]bool{}
	for _, p := range all {
		m := replicasOf.FindStringSubmatch(p.Field)
		if m == nil {
			ps.add(p)
			continue
		}
		n, _ := strconv.Atoi(m[1])
		s := i.Services[n]
		if s.Pool == "" {
			ps.add(p)
			continue
		}
		p.Field = fmt.Sprintf("pools[%d].replicas%s", i.poolAt(s.Pool), m[2])
		if key := p.Field + p.Reason; !told[key] {
			told[key] = true
			p.Reason = fmt.Sprintf("services[%d] (%s) uses it: %s", n, s.Name, p.Reason)
			ps.add(p)
		}
	}
	return ps.Err()
}

// InService shortens the fields that an *Error says of service n to what they are called in it: "vip". What it says of the
// replicas of the service's pool is of its field "pool". It returns other errors as they are.
func InService(err error, n int) error {
	return within(err, fmt.Sprintf("services[%d].", n), "pools[", "pool")
}

// InPool shortens the fields that an *Error says of pool n to what they are called in it: "replicas[0].address". What it says of
// services, as that they have too many replicas now, is of the whole.
func InPool(err error, n int) error {
	return within(err, fmt.Sprintf("pools[%d].", n), "services", "")
}

// within cuts a prefix off the fields of an *Error. Those that begin with other become another field, and are named in the reason.
func within(err error, prefix, other, becomes string) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	for k, p := range e.Problems {
		field, is := strings.CutPrefix(p.Field, prefix)
		if !is && strings.HasPrefix(field, other) {
			e.Problems[k] = NewProblem(becomes, p.Hint, p.Field+": "+p.Reason)
			continue
		}
		e.Problems[k].Field = field
	}
	return err
}
