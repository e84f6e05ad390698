package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"lbctl/rss/ethtool"
)

// Interfaces is how commands reach the NICs of this machine; tests have others.
type Interfaces struct {
	Read  func(name string) (ethtool.Settings, error)
	Apply func(ethtool.Settings, ethtool.Change) error
}

func RealInterfaces() Interfaces { return Interfaces{ethtool.Read, ethtool.Apply} }

// AdviseInterface says what to do about an error of an interface's settings.
func AdviseInterface(err error) error {
	switch {
	case errors.Is(err, ethtool.ErrNoInterface):
		return &Failure{Code: ExitNotFound, What: err.Error(), Do: "name an interface that ip link shows in this network namespace", Cause: err}
	case errors.Is(err, ethtool.ErrNoRSS):
		return &Failure{Code: ExitFailed, What: err.Error(), Do: "name a NIC with RSS; lbctl rss show IFACE says what an interface has", Cause: err}
	case errors.Is(err, ethtool.ErrRefused):
		return &Failure{Code: ExitFailed, What: err.Error(), Do: "see what the driver can do: lbctl rss show IFACE, and its documentation", Cause: err}
	}
	return Advise(err, "run it as root, or with CAP_NET_ADMIN (setting) and CAP_BPF (observing)")
}

// FieldFlag is --fields: FLOWTYPE=LETTERS, any number of times.
type FieldFlag struct{ Texts []string }

func FieldFlags(c *cobra.Command, help string) *FieldFlag {
	f := &FieldFlag{}
	c.Flags().StringArrayVar(&f.Texts, "fields", nil, help)
	return f
}

// Parse reads what the flag was given.
func (f *FieldFlag) Parse(c *cobra.Command) ([]ethtool.FieldsOf, error) {
	var all []ethtool.FieldsOf
	for _, text := range f.Texts {
		one, err := ethtool.ParseFieldsOf(text)
		if err != nil {
			return nil, Usage(c, "--fields: %v", err)
		}
		all = append(all, one)
	}
	return all, nil
}
