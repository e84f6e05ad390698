package main

import (
	"errors"

	"github.com/spf13/cobra"

	"lbctl/testbed/experiment"
)

// adviseBench says what to do about a benchmark that did not run.
func adviseBench(c *cobra.Command, err error) error {
	if errors.Is(err, experiment.ErrParameter) {
		return usage(c, "%v", err)
	}
	return adviseLab(err)
}
