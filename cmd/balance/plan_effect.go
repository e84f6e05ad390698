package balance

import (
	"fmt"
	"io"

	"lbctl/cmd/cli"
	"lbctl/control/api"
)

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
