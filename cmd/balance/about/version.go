// Package about has the commands that tell what this program is and what it found: version, and support-bundle, which collects all
// that somebody who helps needs to see.
package about

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/lb/xdp/inventory"
)

// about is the answer of version; scripts rely on its names.
type about struct {
	cli.Build
	Kernel   string               `json:"kernel"`
	Programs []inventory.Compiled `json:"programs"`
	Features []inventory.Feature  `json:"kernel_features"`
	// Loaded is what is pinned, Unknown why that cannot be told.
	Loaded  *inventory.Loaded `json:"loaded,omitempty"`
	Unknown string            `json:"loaded_unknown,omitempty"`
}

// Version returns lbctl version.
func Version(a *cli.App, pins func(*cobra.Command, *string)) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print what this program was built from, and what of it the kernel has loaded",
		Long: `Print what this program was built from, its BPF programs with the tags that the kernel gives them, those that are pinned, and
which of what lbctl uses of the kernel this one has. A tag is the hash of a program's instructions, as bpftool prog shows it. No
daemon is asked; without root, of the kernel nothing is known.`,
		Example: "  lbctl version\n  lbctl version -o json | jq -r '.loaded.programs[] | select(.is_of_this_build | not) | .name'",
		Args:    cli.Takes(),
	}
	pins(c, &dir)
	f := cli.OutputFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		v, err := gather(dir)
		if err != nil {
			return err
		}
		return a.Print(*f, v, v.print)
	}
	return c
}

func gather(dir string) (v about, err error) {
	v = about{Build: cli.ThisBuild(), Kernel: inventory.Release(), Features: inventory.Features()}
	if v.Programs, err = inventory.Build(dir); err != nil {
		return v, err
	}
	loaded, err := inventory.Pinned(dir)
	if err != nil {
		v.Unknown = err.Error()
	}
	if loaded.Programs != nil {
		v.Loaded = &loaded
	}
	return v, nil
}

func (v about) print(w io.Writer) {
	fmt.Fprintf(w, "lbctl %s (commit %s, %s)\n", v.Version, v.Commit, v.Go)
	fmt.Fprintf(w, "Linux %s\n", v.Kernel)
	cli.Row(w, "\nPROGRAM", "TAG", "LOADED")
	for _, p := range v.Programs {
		cli.Row(w, p.Name, p.Tag, v.loadedAs(p))
	}
	if v.Unknown != "" {
		fmt.Fprintf(w, "\nwhat is loaded is not known: %s\n", v.Unknown)
	}
	for _, f := range v.Features {
		if f.State != "found" {
			fmt.Fprintf(w, "%s, for %s: %s\n", f.Name, f.For, f.State)
		}
	}
}

// loadedAs says which program of a name is in the kernel.
func (v about) loadedAs(c inventory.Compiled) string {
	if v.Loaded == nil {
		return ""
	}
	for _, p := range v.Loaded.Programs {
		switch {
		case p.Tag == c.Tag:
			return fmt.Sprintf("id %d", p.ID)
		case p.Pin == c.Name:
			return fmt.Sprintf("id %d, of another build: tag %s", p.ID, p.Tag)
		}
	}
	return ""
}

// versionText is what the bundle has of it.
func versionText(dir string) func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return gather(dir) }
}
