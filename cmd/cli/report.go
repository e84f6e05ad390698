package cli

import (
	"time"

	"lbctl/testbed/report"
)

// WriteReport writes what a command found out as a report, to the folder of --out. It fills in where and when, and that
// it passes if its checks do. rig says what was looked at.
func WriteReport(dir, rig string, r report.Result, figures ...report.Figure) error {
	r.Environment = report.Gather(time.Now())
	r.Environment.Rig, r.Environment.XDP = rig, "none"
	r.Pass = report.Passed(r.Checks)
	if err := report.Write(dir, r, figures); err != nil {
		return Advise(err, "name another folder with --out")
	}
	return nil
}
