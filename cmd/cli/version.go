package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says what this program was made of.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
}

// ThisBuild reads what the Go tool wrote into the program.
func ThisBuild() build {
	b := build{Version: "devel", Commit: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func VersionCommand(a *App) *cobra.Command {
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print what this program was built from",
		Example: `  lbctl version -o json`,
		Args:    Takes(),
	}
	f := OutputFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		b := ThisBuild()
		return a.Print(*f, b, func(w io.Writer) { fmt.Fprintf(w, "lbctl %s (commit %s, %s)\n", b.Version, b.Commit, b.Go) })
	}
	return c
}
