package main

import (
	"errors"

	"github.com/spf13/cobra"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/rss/packet"
)

// flowFlag are the flags that describe a flow.
type flowFlag struct{ source, destination, protocol string }

func flowFlags(c *cobra.Command) *flowFlag {
	f := &flowFlag{}
	c.Flags().StringVar(&f.source, "src", "", "source address and port")
	c.Flags().StringVar(&f.destination, "dst", "", "destination address and port")
	c.Flags().StringVar(&f.protocol, "protocol", "tcp", "tcp or udp")
	return f
}

// parse returns the flow that the flags describe.
func (f *flowFlag) parse(c *cobra.Command, flags []string) (packet.Flow, error) {
	switch {
	case f.source == "":
		return packet.Flow{}, usage(c, "missing --src ADDRESS:PORT")
	case f.destination == "":
		return packet.Flow{}, usage(c, "missing --dst ADDRESS:PORT")
	}
	probe, err := config.ResolveProbe(api.Probe{Source: f.source, Destination: f.destination, Protocol: f.protocol, Flags: flags})
	var wrong *config.Error
	if errors.As(err, &wrong) {
		p := wrong.Problems[0]
		named := map[string]string{"source": "--src", "destination": "--dst", "protocol": "--protocol"}
		flag, ok := named[p.Field]
		if !ok {
			flag = "--flags"
		}
		return packet.Flow{}, &failure{code: exitUsage, what: flag + ": " + p.Reason, hint: p.Hint}
	}
	return probe.Flow, nil
}
