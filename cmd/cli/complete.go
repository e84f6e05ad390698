package cli

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lbctl/control/client"
)

// Names returns the words that an argument can be; before are the arguments before it.
type Names func(ctx context.Context, d *client.Client, before []string) ([]string, error)

// completePatience is how long a shell waits for the daemon.
const completePatience = 2 * time.Second

// Complete lets shells complete the arguments of a command, the nth by the nth names. Where the daemon does not answer there is
// nothing to complete.
func (a *App) Complete(c *cobra.Command, arguments ...Names) {
	c.ValidArgsFunction = func(_ *cobra.Command, before []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(before) >= len(arguments) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.complete(arguments[len(before)], before)
	}
}

// CompleteFlag lets shells complete the value of a flag.
func (a *App) CompleteFlag(value Names) cobra.CompletionFunc {
	return func(_ *cobra.Command, before []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.complete(value, before)
	}
}

func (a *App) complete(word Names, before []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(a.Context, completePatience)
	defer cancel()
	d := a.Client()
	defer d.Close()
	names, err := word(ctx, d, before)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// Services are the names of the services. The status is the shortest list that has them.
func Services(ctx context.Context, d *client.Client, _ []string) (names []string, err error) {
	all, err := d.Status(ctx)
	for _, s := range all.Services {
		names = append(names, s.Name)
	}
	return names, err
}

// Pools are the names of the pools.
func Pools(ctx context.Context, d *client.Client, _ []string) (names []string, err error) {
	all, err := d.Pools(ctx)
	for _, p := range all.Pools {
		names = append(names, p.Name)
	}
	return names, err
}

// ReplicasOf are the replicas of the service before.
func ReplicasOf(ctx context.Context, d *client.Client, before []string) (names []string, err error) {
	all, err := d.Services(ctx, before[len(before)-1])
	for _, s := range all.Services {
		for _, r := range s.Replicas {
			names = append(names, r.Address)
		}
	}
	return names, err
}

// Attached are the interfaces that are attached, or wanted.
func Attached(ctx context.Context, d *client.Client, _ []string) (names []string, err error) {
	all, err := d.Interfaces(ctx)
	for _, i := range all.Interfaces {
		names = append(names, i.Name)
	}
	return names, err
}

// Links are the interfaces of this machine.
func Links(context.Context, *client.Client, []string) (names []string, err error) {
	all, err := net.Interfaces()
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names, err
}

// Revisions are the numbers of those that are kept, the latest first.
func Revisions(ctx context.Context, d *client.Client, _ []string) (numbers []string, err error) {
	all, err := d.Revisions(ctx, 0)
	for _, r := range all.Revisions {
		numbers = append(numbers, strconv.FormatUint(r.Number, 10)+"\t"+r.Reason)
	}
	return numbers, err
}

// Kinds are words that name kinds of things.
func Kinds(words ...string) Names {
	return func(context.Context, *client.Client, []string) ([]string, error) { return words, nil }
}

// NamesOf are the things of the kind before.
func NamesOf(ctx context.Context, d *client.Client, before []string) ([]string, error) {
	switch before[0] {
	case "service", "services":
		return Services(ctx, d, before)
	case "pool", "pools":
		return Pools(ctx, d, before)
	case "interface", "interfaces":
		return Attached(ctx, d, before)
	case "replica", "replicas":
		if len(before) == 2 {
			return ReplicasOf(ctx, d, before)
		}
		return Services(ctx, d, before)
	}
	return nil, nil
}

// KindAndName reads the arguments KIND NAME, or KIND/NAME. A kind may be in the plural.
func KindAndName(c *cobra.Command, args []string, kinds ...string) (kind, name string, err error) {
	kind = args[0]
	if len(args) > 1 {
		name = args[1]
	} else if k, n, cut := strings.Cut(args[0], "/"); cut {
		kind, name = k, n
	}
	kind = strings.TrimSuffix(kind, "s")
	switch {
	case !slices.Contains(kinds, kind):
		return "", "", Usage(c, "kind %q is not known: want %s", args[0], OneOf(kinds)).OrNearest(kind, kinds, "")
	case name == "":
		return "", "", Usage(c, "missing NAME")
	}
	return kind, name, nil
}
