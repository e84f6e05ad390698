package about

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/config"
	"lbctl/lb/xdp/inventory"
)

// of makes a piece of what a request answers.
func of[T any](ask func(context.Context) (T, error)) Piece {
	return func(ctx context.Context) (any, error) {
		v, err := ask(ctx)
		if err != nil {
			return nil, err
		}
		return v, nil
	}
}

// all is of, where the request can ask for less.
func all[T any](ask func(context.Context, ...string) (T, error)) Piece {
	return of(func(ctx context.Context) (T, error) { return ask(ctx) })
}

// pieces are the files of a bundle.
func pieces(d *client.Client, pins string, more More) []piece {
	return []piece{
		{"version.json", versionText(pins)},
		{"config.yaml", func(ctx context.Context) (any, error) {
			doc, revision, err := d.Config(ctx)
			if err != nil {
				return nil, err
			}
			hide(doc.Services)
			text, err := config.Write(doc)
			return append(fmt.Appendf(nil, "# revision %d\n", revision), text...), err
		}},
		{"revisions.json", of(func(ctx context.Context) (api.Revisions, error) { return d.Revisions(ctx, 200) })},
		{"status.json", more.Status},
		{"services.json", of(func(ctx context.Context) (api.Services, error) {
			all, err := d.Services(ctx)
			hide(all.Services)
			return all, err
		})},
		{"replicas.json", all(d.TrafficWithHops)},
		{"interfaces.json", of(d.Interfaces)},
		{"counters.json", all(d.Counters)},
		{"flows.json", all(d.Flows)},
		{"overrides.json", of(d.Overrides)},
		{"events.jsonl", events(d)},
		{"metrics.txt", func(ctx context.Context) (any, error) { return d.Page(ctx, "/metrics", mostBytes+1) }},
		{"doctor.json", more.Doctor},
		{"bpf.json", func(context.Context) (any, error) {
			all, err := inventory.Pinned(pins)
			if all.Programs == nil {
				return nil, err
			}
			return indented(all, err)
		}},
		{"system.txt", system},
	}
}

// indented is JSON of what was had beside an error.
func indented(v any, err error) (any, error) {
	var b bytes.Buffer
	return b.Bytes(), errors.Join(cli.Indented(&b, v), err)
}

// events are those that are kept.
func events(d *client.Client) Piece {
	return func(ctx context.Context) (any, error) {
		var b bytes.Buffer
		lines := cli.JSONLines(&b)
		for e, err := range d.Events(ctx, client.Wanted{}) {
			if err != nil {
				return b.Bytes(), err
			}
			if err := lines.Encode(e); err != nil || b.Len() > mostBytes {
				return b.Bytes(), err
			}
		}
		return b.Bytes(), nil
	}
}

// facts are files that say what the kernel is and does; none has what processes were told.
var facts = []string{
	"/proc/version", "/proc/uptime", "/proc/loadavg", "/proc/meminfo", "/proc/net/dev", "/proc/net/softnet_stat", "/proc/net/snmp", "/proc/net/netstat",
	"/proc/interrupts", "/proc/softirqs",
	"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding", "/proc/sys/net/ipv4/conf/all/rp_filter", "/proc/sys/net/ipv4/conf/default/rp_filter",
	"/proc/sys/net/ipv4/neigh/default/gc_thresh3", "/proc/sys/net/ipv6/neigh/default/gc_thresh3",
	"/proc/sys/net/core/bpf_jit_enable", "/proc/sys/net/core/netdev_max_backlog", "/proc/sys/net/core/netdev_budget", "/proc/sys/net/core/netdev_budget_usecs",
	"/proc/sys/kernel/unprivileged_bpf_disabled", "/proc/sys/kernel/bpf_stats_enabled", "/sys/devices/system/cpu/online",
}

// system has the facts one after the other.
func system(context.Context) (any, error) {
	var b bytes.Buffer
	var errs []error
	for _, path := range facts {
		f, err := os.Open(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		text, err := limited(f)
		f.Close()
		errs = append(errs, err)
		fmt.Fprintf(&b, "# %s\n%s\n", path, bytes.TrimRight(text, "\n"))
	}
	return b.Bytes(), errors.Join(errs...)
}
