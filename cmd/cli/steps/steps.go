// Package steps prints what a change does, or would do.
package steps

import (
	"fmt"
	"io"

	"lbctl/cmd/cli"
	"lbctl/control/api"
)

// Print prints what a change does, in order. A plan without a daemon has no revision.
func Print(w io.Writer, change api.Change) {
	if len(change.Steps) == 0 {
		fmt.Fprintf(w, "nothing to do%s%s\n", inDatapath(change), at(change.Revision))
	}
	for n, s := range change.Steps {
		cli.Row(w, n+1, s.Verb, stepTarget(s), s.Why, stepDetail(s))
		printEffect(w, s.Effect)
	}
	for _, c := range change.Intent {
		fmt.Fprintf(w, "%s: %s > %s\n", c.Field, cli.SideText(c.Before), cli.SideText(c.After))
	}
	cli.PrintOverrides(w, change.Overrides)
}

func at(revision uint64) string {
	if revision == 0 {
		return ""
	}
	return fmt.Sprintf(" (revision %d)", revision)
}

// inDatapath restricts "nothing to do" if the intent changes and the datapath does not.
func inDatapath(change api.Change) string {
	if len(change.Intent) == 0 {
		return ""
	}
	return " in the datapath"
}

// stepTarget names what a step acts on.
func stepTarget(s api.Step) string {
	if s.Interface != "" {
		return s.Interface
	}
	return s.Protocol + " " + cli.Ranged(s.VIP, s.EndPort)
}

func stepDetail(s api.Step) string {
	if s.Service == nil {
		return s.Mode
	}
	return fmt.Sprintf("%s, %s, %s, %s", s.Service.Mode, s.Service.Scheduler, s.Service.Hash, cli.Many(len(s.Service.Replicas), "replica"))
}

// printEffect prints, under a planned step, what it does to the flows of its service.
func printEffect(w io.Writer, e *api.Effect) {
	if e == nil {
		return
	}
	for _, c := range e.Changes {
		below(w, "%s: %s > %s", c.Field, cli.SideText(c.Before), cli.SideText(c.After))
	}
	below(w, "%s %% of new flows go to another replica (%d of %d)", cli.Percent(e.Share), e.MovedParts, e.Parts)
	if e.FlowsEnded > 0 || e.AtLeast {
		below(w, "%s", endedText(*e))
	}
}

func endedText(e api.Effect) string {
	end := "end"
	if e.FlowsEnded == 1 {
		end = "ends"
	}
	text := fmt.Sprintf("%s %s with the replica", cli.Many(int(e.FlowsEnded), "recorded flow"), end)
	if e.AtLeast {
		text += ", and those of which nothing is recorded"
	}
	return text
}

// below prints a line under the last column of the steps.
func below(w io.Writer, text string, args ...any) {
	fmt.Fprintf(w, " \t \t \t \t  "+text+"\n", args...)
}
