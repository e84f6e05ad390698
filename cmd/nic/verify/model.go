package verify

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"lbctl/cmd/cli"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
)

// overrides returns the names of the flags that were given and that override the NIC's settings.
func overrides(c *cobra.Command) []string {
	given := []string{}
	c.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "for", "packets", "mode", "output":
		default:
			given = append(given, f.Name)
		}
	})
	return given
}

// model returns the configuration of the NIC with the flags in place of its own settings. The notes say what was assumed.
func (f *flags) model(c *cobra.Command, s ethtool.Settings) (nic.Config, []string, error) {
	config, notes, err := s.Model()
	if err != nil {
		if config, notes, err = f.withoutRSS(s, err); err != nil {
			return nic.Config{}, nil, err
		}
	}
	if config, err = f.nic.Over(config); err != nil {
		return nic.Config{}, nil, cli.SetupFailure(c, err)
	}
	return config, notes, nil
}

// withoutRSS returns the default model, for a driver that reports none, if flags describe one.
func (f *flags) withoutRSS(s ethtool.Settings, why error) (nic.Config, []string, error) {
	if len(f.given) == 0 {
		hint := "describe the model to compare with: --key, --queues, --table"
		if errors.Is(why, ethtool.ErrNoRSS) {
			hint = "to compare it with a model all the same: --key, --queues, --table"
		}
		return nic.Config{}, nil, &cli.Failure{Code: cli.ExitFailed, What: why.Error(), Do: hint, Cause: why}
	}
	config, err := nic.Default(max(s.Queues, 1))
	return config, []string{strings.TrimPrefix(why.Error(), "model of "+s.Interface+": ")}, err
}

// kernelRelease is what uname -r prints; empty if the kernel does not say.
func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
