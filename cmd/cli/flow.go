package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/rss/packet"
)

// FlowFlag are the flags that describe a flow.
type FlowFlag struct{ Source, Destination, Protocol string }

func FlowFlags(c *cobra.Command) *FlowFlag {
	f := &FlowFlag{}
	c.Flags().StringVar(&f.Source, "src", "", "source address and port")
	c.Flags().StringVar(&f.Destination, "dst", "", "destination address and port")
	c.Flags().StringVar(&f.Protocol, "protocol", "tcp", "tcp or udp")
	return f
}

// Parse returns the flow that the flags describe.
func (f *FlowFlag) Parse(c *cobra.Command, flags []string) (packet.Flow, error) {
	switch {
	case f.Source == "":
		return packet.Flow{}, Usage(c, "missing --src ADDRESS:PORT")
	case f.Destination == "":
		return packet.Flow{}, Usage(c, "missing --dst ADDRESS:PORT")
	}
	probe, err := wire.ResolveProbe(api.Probe{Source: f.Source, Destination: f.Destination, Protocol: f.Protocol, Flags: flags})
	var wrong *intent.Error
	if errors.As(err, &wrong) {
		p := wrong.Problems[0]
		named := map[string]string{"source": "--src", "destination": "--dst", "protocol": "--protocol"}
		flag, ok := named[p.Field]
		if !ok {
			flag = "--flags"
		}
		return packet.Flow{}, &Failure{Code: ExitUsage, What: flag + ": " + p.Reason, Do: p.Hint}
	}
	return probe.Flow, nil
}
