package lab

import (
	"errors"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/experiment"
)

// adviseBench says what to do about a benchmark that did not run.
func adviseBench(c *cobra.Command, err error) error {
	if errors.Is(err, experiment.ErrParameter) {
		return cli.Usage(c, "%v", err)
	}
	return adviseLab(err)
}
