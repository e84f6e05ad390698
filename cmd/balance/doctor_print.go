package balance

import (
	"fmt"
	"io"

	"lbctl/cmd/cli"
	"lbctl/lb/doctor"
)

// printDiagnosis writes a line a finding, the worst first; one that is not well is followed by why, and by its cure.
func printDiagnosis(w io.Writer, d diagnosis) {
	severity, subject, name := 0, 0, 0
	for _, f := range d.Findings {
		severity, subject, name = max(severity, len(f.Severity)), max(subject, len(f.Subject)), max(name, len(f.Name))
	}
	for _, f := range d.Findings {
		// Spaces, not tabs: the lines between would end the columns.
		fmt.Fprintf(w, "%-*s  %-*s  %-*s  %s\n", severity, f.Severity, subject, f.Subject, name, f.Name, f.Seen)
		if f.Severity != doctor.OK {
			fmt.Fprintf(w, "    %s\n", f.Why)
			printCure(w, f)
		}
	}
	fmt.Fprintf(w, "%s, %s, %d unknown, %d ok\n", cli.Many(d.Counts[doctor.Problem], "problem"), cli.Many(d.Counts[doctor.Warning], "warning"),
		d.Counts[doctor.Unknown], d.Counts[doctor.OK])
}

func printCure(w io.Writer, f doctor.Finding) {
	if f.Where != "" {
		fmt.Fprintf(w, "    %s:\n", f.Where)
	}
	if f.Cure != "" {
		fmt.Fprintf(w, "    $ %s\n", f.Cure)
	}
}
