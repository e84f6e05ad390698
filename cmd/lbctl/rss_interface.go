package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lbctl/rss/ethtool"
)

// interfaces is how commands reach the NICs of this machine; tests have others.
type interfaces struct {
	read  func(name string) (ethtool.Settings, error)
	apply func(ethtool.Settings, ethtool.Change) error
}

func realInterfaces() interfaces { return interfaces{ethtool.Read, ethtool.Apply} }

// adviseInterface says what to do about an error of an interface's settings.
func adviseInterface(err error) error {
	switch {
	case errors.Is(err, ethtool.ErrNoInterface):
		return &failure{code: exitNotFound, what: err.Error(), hint: "name an interface that ip link shows in this network namespace", cause: err}
	case errors.Is(err, ethtool.ErrNoRSS):
		return &failure{code: exitFailed, what: err.Error(), hint: "name a NIC with RSS; lbctl rss show IFACE says what an interface has", cause: err}
	case errors.Is(err, ethtool.ErrRefused):
		return &failure{code: exitFailed, what: err.Error(), hint: "see what the driver can do: lbctl rss show IFACE, and its documentation", cause: err}
	}
	return advise(err, "run it as root, or with CAP_NET_ADMIN (setting) and CAP_BPF (observing)")
}

// fieldFlag is --fields: FLOWTYPE=LETTERS, any number of times.
type fieldFlag struct{ texts []string }

func fieldFlags(c *cobra.Command, help string) *fieldFlag {
	f := &fieldFlag{}
	c.Flags().StringArrayVar(&f.texts, "fields", nil, help)
	return f
}

// parse reads what the flag was given.
func (f *fieldFlag) parse(c *cobra.Command) ([]ethtool.FieldsOf, error) {
	var all []ethtool.FieldsOf
	for _, text := range f.texts {
		one, err := ethtool.ParseFieldsOf(text)
		if err != nil {
			return nil, usage(c, "--fields: %v", err)
		}
		all = append(all, one)
	}
	return all, nil
}

// plural is "1 queue", "2 queues".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
