package doctor

import (
	"fmt"
	"strings"

	"lbctl/lb"
)

// Table is a table of the datapath, as datapath.limits has it.
type Table struct {
	Name       string
	Used, Most uint64
}

// Limit is what limits of services drop.
type Limit struct {
	Reason lb.Reason
	// Services are the names of those that have such a limit.
	Services []string
	// PerSecond is how many packets were dropped while the facts were gathered.
	PerSecond float64
}

// nearFull is from how many percent on a table has little room left.
const nearFull = 80

func judgeRoom(_ Facts, t Table) verdict {
	share := t.Used * 100 / max(t.Most, 1)
	if share < nearFull {
		return ok("%d of %d, %d %%", t.Used, t.Most, share)
	}
	return bad(Warning, fmt.Sprintf("# write more into the file, datapath: {limits: {%s: %d}}, and restart the daemon: traffic goes on", t.Name, 2*t.Most),
		"%d of %d, %d %%", t.Used, t.Most, share)
}

func judgeLimit(_ Facts, l Limit) verdict {
	const named = 5
	of := strings.Join(l.Services[:min(len(l.Services), named)], ", ")
	if more := len(l.Services) - named; more > 0 {
		of += fmt.Sprintf(" and %d more", more)
	}
	if l.PerSecond == 0 {
		return ok("nothing is dropped now; limited: %s", of)
	}
	return bad(Warning, fmt.Sprintf("lbctl monitor --reason %s", l.Reason), "%.0f packets a second are dropped; limited: %s", l.PerSecond, of)
}

func tableChecks() []check[Table] {
	return []check[Table]{{"room", balancer, "a change that has no room is refused, and records of flows that have none take the place of others", judgeRoom}}
}

func limitChecks() []check[Limit] {
	return []check[Limit]{{"limits", balancer, "what is above a service's rate_limit, or from outside its source_ranges, is dropped: more than was meant to be, or an attack", judgeLimit}}
}
