// Package wait has the command that waits until something is so.
package wait

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

// condition asks whether something is so; if not, it says what is.
type condition func(context.Context, *client.Client) (still string, err error)

// Command waits.
func Command(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "wait --for=CONDITION [SERVICE [ADDRESS]]",
		Short: "Wait until the balancer is ready, replicas are healthy or drained, or a revision is reached",
		Long: `Wait until a condition holds: ready (the datapath forwards as intended, as /readyz says), healthy (checks have found the
replica ADDRESS of SERVICE well, or every active one of it, or of all, that is checked), drained (the replica, or every
draining one, is safe to remove), condition=TYPE or condition=TYPE=STATUS (of SERVICE: Programmed, Healthy, Ready; of the node:
Programmed, Ready; STATUS is true, false or unknown, and true if left out), or revision=N (the intent is at N or later). A daemon
that does not answer is waited for. When the time is over, the exit code is 1, and the error says what is missing.`,
		Example: `  lbctl wait --for=ready --timeout 1m
  lbctl wait --for=healthy web
  lbctl wait --for=condition=Ready web
  lbctl drain web 10.1.0.1:8080 && lbctl wait --for=drained web 10.1.0.1:8080
  lbctl wait --for=revision=7`,
		Args: cli.Takes("[SERVICE]", "[ADDRESS]"),
	}
	what := c.Flags().String("for", "", "what to wait for: ready, healthy, drained, condition=TYPE or revision=N")
	patience := c.Flags().Duration("timeout", 30*time.Second, "give up after this time, at most 24h; 0: look once")
	_ = c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]string{"ready", "healthy", "drained", "condition=", "revision="}, cobra.ShellCompDirectiveNoSpace))
	a.Complete(c, cli.Services, cli.ReplicasOf)
	c.RunE = func(c *cobra.Command, args []string) error {
		if *patience < 0 || *patience > 24*time.Hour {
			return cli.Usage(c, "--timeout: %v is out of range: want 0 to 24h", *patience)
		}
		is, err := parse(c, *what, args)
		if err != nil {
			return err
		}
		d := a.Client()
		defer d.Close()
		return until(c.Context(), a.Clock, d, *what, is, *patience)
	}
	return c
}

func parse(c *cobra.Command, what string, args []string) (condition, error) {
	of := append(args, "", "")[:2]
	kind, isCondition := strings.CutPrefix(what, "condition=")
	if isCondition {
		return holds(c, kind, args)
	}
	if what != "healthy" && what != "drained" && len(args) > 0 {
		return nil, cli.Usage(c, "--for=%s takes no %s", what, args[0])
	}
	number, isRevision := strings.CutPrefix(what, "revision=")
	n, err := strconv.ParseUint(number, 10, 64)
	switch {
	case what == "ready":
		return ready, nil
	case what == "healthy":
		return healthy(of), nil
	case what == "drained":
		return drained(of), nil
	case isRevision && err == nil && n > 0:
		return reached(n), nil
	case what == "":
		return nil, cli.Usage(c, "missing --for: want ready, healthy, drained, condition=TYPE or revision=N")
	}
	return nil, cli.Usage(c, "--for: %q is not known: want ready, healthy, drained, condition=TYPE or revision=N", what).OrNearest(what, []string{"ready", "healthy", "drained"}, "--for=")
}

func ready(ctx context.Context, d *client.Client) (string, error) {
	_, err := d.Ready(ctx)
	var refused *client.Error
	if errors.As(err, &refused) {
		return refused.Problem.Detail, nil
	}
	return "", err
}

// holds looks at a condition of a service, or of the node.
func holds(c *cobra.Command, what string, of []string) (condition, error) {
	kind, status, has := strings.Cut(what, "=")
	kinds := []string{"Programmed", "Ready", "Healthy"}
	switch {
	case len(of) > 1:
		return nil, cli.Usage(c, "--for=condition takes no ADDRESS: %s", of[1])
	case kind == "Healthy" && len(of) == 0:
		return nil, cli.Usage(c, "--for=condition=Healthy: the node has no such condition: name a SERVICE")
	case !slices.Contains(kinds, kind):
		return nil, cli.Usage(c, "--for=condition: %q is not known: want Programmed, Ready or Healthy", kind).OrNearest(kind, kinds, "--for=condition=")
	case !has:
		status = "true"
	case !slices.Contains([]string{"true", "false", "unknown"}, status):
		return nil, cli.Usage(c, "--for=condition=%s: %q is no status: want true, false or unknown", kind, status)
	}
	return func(ctx context.Context, d *client.Client) (string, error) {
		var all []api.Condition
		if len(of) == 0 {
			node, _, err := d.NodeConditions(ctx)
			if err != nil {
				return "", err
			}
			all = node
		} else {
			service, err := d.ServiceConditions(ctx, of[0])
			if err != nil {
				return "", err
			}
			all = service.Conditions
		}
		for _, is := range all {
			if is.Type == kind && is.Status != status {
				return fmt.Sprintf("%s is %s: %s", kind, is.Status, cmp.Or(is.Message, is.Reason)), nil
			}
		}
		return "", nil
	}, nil
}

func reached(n uint64) condition {
	return func(ctx context.Context, d *client.Client) (string, error) {
		_, now, err := d.NodeConditions(ctx)
		if err == nil && now < n {
			return fmt.Sprintf("the intent is at revision %d", now), nil
		}
		return "", err
	}
}

// named are the services that a condition is about: one, or all.
func named(of []string) []string {
	if of[0] == "" {
		return nil
	}
	return of[:1]
}

// healthy looks at one replica, the active ones of a service that are checked, or those of all.
func healthy(of []string) condition {
	return func(ctx context.Context, d *client.Client) (string, error) {
		all, err := d.Traffic(ctx, named(of)...)
		if err != nil {
			return "", err
		}
		look := looked{of: of}
		for _, r := range all.Replicas {
			if !look.at(r.Address) {
				continue
			}
			h := r.Health
			switch {
			case h == nil && of[1] == "" || h != nil && h.Status == "healthy":
			case h == nil:
				return "replica " + r.Address + " of " + r.ServiceName + " is not checked", nil
			case of[1] != "" || r.State == lb.Active.String():
				return fmt.Sprintf("replica %s of %s is %s: %s", r.Address, r.ServiceName, h.Status, cmp.Or(h.Reason, "no result yet")), nil
			}
		}
		return "", look.missing()
	}
}

// drained looks at one replica, the draining ones of a service, or those of all.
func drained(of []string) condition {
	return func(ctx context.Context, d *client.Client) (string, error) {
		all, err := d.Flows(ctx, named(of)...)
		if err != nil {
			return "", err
		}
		look := looked{of: of}
		for _, s := range all.Services {
			for _, r := range s.Replicas {
				if look.at(r.Address) && !r.SafeToRemove && (of[1] != "" || r.State == lb.Draining.String()) {
					return fmt.Sprintf("replica %s of %s is %s with %d recorded flows and %s of old flows", r.Address, s.Name, r.State,
						r.FlowCounts.Established+r.FlowCounts.HalfOpen, cli.Many(int(r.FlowCounts.OldFlowSlots), "slot")), nil
				}
			}
		}
		return "", look.missing()
	}
}

// looked is what a condition is about, a service and a replica of it, "" for any, and whether there is such a replica.
type looked struct {
	of      []string
	replica bool
}

// at reports whether the condition is about a replica.
func (l *looked) at(replica string) bool {
	if l.of[1] != "" && l.of[1] != replica {
		return false
	}
	l.replica = true
	return true
}

func (l *looked) missing() error {
	if l.of[1] != "" && !l.replica {
		return cli.NotFound("replica", l.of[1], nil, "list what there is: lbctl get replicas")
	}
	return nil
}

// between is the time from one look to the next.
const between = 500 * time.Millisecond

func until(ctx context.Context, clock cli.Clock, d *client.Client, what string, is condition, patience time.Duration) error {
	deadline := clock.Now().Add(patience)
	for {
		still, err := is(ctx, d)
		away := errors.Is(err, client.ErrUnreachable)
		switch {
		case err != nil && !away:
			return err
		case err == nil && still == "":
			return nil
		case !clock.Now().Before(deadline):
			if away {
				return err
			}
			return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("%s was not reached in %v: %s", what, patience, still), Do: "wait longer with --timeout; lbctl status says what is not as it should be"}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clock.After(between):
		}
	}
}
