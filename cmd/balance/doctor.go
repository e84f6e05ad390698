package balance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb"
	"lbctl/lb/doctor"
	"lbctl/lb/doctor/netstate"
)

// diagnosis is the answer of the doctor; scripts rely on its names.
type diagnosis struct {
	// Role is "balancer" or "replica".
	Role       string   `json:"role"`
	Interfaces []string `json:"interface_names"`
	// Findings are sorted by severity: problems, warnings, unknown, ok.
	Findings []doctor.Finding        `json:"findings"`
	Counts   map[doctor.Severity]int `json:"counts"`
}

func doctorCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor IFACE...",
		Short: "Find what would break or slow down the balancer on an interface",
		Long: `Examine interfaces that the balancer is or will be attached to, and the routes to replicas, and
print what would lose packets or slow them down, with commands that cure it; with -v also what is ok.
Nothing is changed. Name all interfaces that are or will be attached: those to clients and those to replicas.

VIPs, replicas and modes are those of the running daemon and those that flags add. Of a daemon it also says which tables
are nearly full, and what rate limits and source ranges of services drop, for which it counts for a second. What cannot be seen
from here (the other end of a veth, a replica) is reported as unknown, with a command to run there;
--on-replica examines a replica from inside. Run it in the network namespace of the balancer, for
example with nsenter --net=/run/netns/NAME. Run it as root, or some facts stay unknown.

Exit codes: 0 no problem, 1 a problem (warnings do not count), 3 no such interface, 5 denied.`,
		Example: `  lbctl doctor eth0 eth1
  lbctl doctor eth0 eth1 --vip 192.0.2.1 --replica 10.1.0.1:8080 --replica 10.1.0.2:8080
  lbctl doctor eth0 --vip 192.0.2.1 --replica 10.1.0.1 --mode dsr -o json | jq -r '.findings[].cure // empty'
  lbctl doctor --on-replica --vip 192.0.2.1 --mode ipip eth0        # on the replica`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage(c, "missing IFACE")
			}
			return nil
		},
	}
	flags := doctorFlags(c)
	all := c.Flags().BoolP("verbose", "v", false, "print also what is ok")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, names []string) error {
		q, err := flags.scope(c, names)
		if err != nil {
			return err
		}
		if !q.OnReplica {
			if err := askDaemon(a, c.Context(), &q); err != nil {
				return err
			}
		}
		return examine(a, *f, q, *all)
	}
	return c
}

// diagnosisOf gathers the facts and judges them.
func diagnosisOf(q netstate.Scope) (diagnosis, error) {
	facts, err := netstate.Gather(q)
	if err != nil {
		return diagnosis{}, adviseDoctor(err)
	}
	d := diagnosis{Role: "balancer", Interfaces: q.Interfaces, Findings: doctor.Examine(facts), Counts: map[doctor.Severity]int{}}
	if q.OnReplica {
		d.Role = "replica"
	}
	for _, s := range doctor.Severities() {
		d.Counts[s] = doctor.Count(d.Findings, s)
	}
	return d, nil
}

// diagnosed is what the doctor finds of the interfaces that the daemon is attached to.
func diagnosed(a *cli.App) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		var q netstate.Scope
		if err := askDaemon(a, ctx, &q); err != nil {
			return nil, err
		}
		if q.Interfaces = q.Attached; len(q.Interfaces) == 0 {
			return nil, errors.New("the doctor was not asked: no daemon says of an interface that it is attached")
		}
		d, err := diagnosisOf(q)
		if err != nil {
			return nil, err
		}
		return d, nil
	}
}

// examine prints the findings.
func examine(a *cli.App, f cli.Format, q netstate.Scope, all bool) error {
	d, err := diagnosisOf(q)
	if err != nil {
		return err
	}
	if err := a.Print(f, d, func(w io.Writer) { printDiagnosis(w, d, all) }); err != nil {
		return err
	}
	if n := d.Counts[doctor.Problem]; n > 0 {
		return &cli.Failure{Code: cli.ExitFailed, What: cli.Many(n, "problem") + " found", Do: "run the cures, then lbctl doctor again"}
	}
	return nil
}

// adviseDoctor says what to do if the facts cannot be gathered.
func adviseDoctor(err error) error {
	if errors.Is(err, lb.ErrNotFound) {
		return cli.Advise(err, "name an interface that ip link shows in this network namespace")
	}
	return fmt.Errorf("look at the network: %w", err)
}

// printDiagnosis prints the findings and how many there are. What is ok is left out unless all is asked for.
func printDiagnosis(w io.Writer, d diagnosis, all bool) {
	shown := d.Findings
	if !all {
		shown = slices.DeleteFunc(slices.Clone(shown), func(f doctor.Finding) bool { return f.Severity == doctor.OK })
	}
	printFindings(w, shown)
	hint := ""
	if !all && d.Counts[doctor.OK] > 0 {
		hint = " (-v prints it)"
	}
	fmt.Fprintf(w, "%s, %s, %d unknown, %d ok%s\n", cli.Many(d.Counts[doctor.Problem], "problem"), cli.Many(d.Counts[doctor.Warning], "warning"),
		d.Counts[doctor.Unknown], d.Counts[doctor.OK], hint)
}

// printFindings prints a line for each finding. Those of one check stand together, and why and the cures follow them, once,
// unless all is ok.
func printFindings(w io.Writer, shown []doctor.Finding) {
	severity, subject, name := 0, 0, 0
	for _, f := range shown {
		severity, subject, name = max(severity, len(f.Severity)), max(subject, len(f.Subject)), max(name, len(f.Name))
	}
	for _, alike := range doctor.Alike(shown) {
		for _, f := range alike {
			// Spaces, not tabs: the lines between would break the columns.
			fmt.Fprintf(w, "%-*s  %-*s  %-*s  %s\n", severity, f.Severity, subject, f.Subject, name, f.Name, f.Seen)
		}
		if alike[0].Severity != doctor.OK {
			fmt.Fprintf(w, "    %s\n", alike[0].Why)
			printCures(w, alike)
		}
	}
}

// printCures prints each cure once.
func printCures(w io.Writer, alike []doctor.Finding) {
	type cure struct{ where, command string }
	printed := map[cure]bool{}
	for _, f := range alike {
		c := cure{f.Where, f.Cure}
		if printed[c] {
			continue
		}
		printed[c] = true
		if f.Where != "" {
			fmt.Fprintf(w, "    %s:\n", f.Where)
		}
		if f.Cure != "" {
			fmt.Fprintf(w, "    $ %s\n", f.Cure)
		}
	}
}
