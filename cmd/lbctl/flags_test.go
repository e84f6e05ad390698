package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// hostileValues are values that no flag of a type takes.
var hostileValues = map[string][]string{
	"int":           {"", "x", "-1", "1e3", "1e30", "1_000", "010", "NaN", "Inf", "1.5", " 1", "9223372036854775808", "-9223372036854775808", "18446744073709551615"},
	"int64":         {"", "x", "-1", "0", "1e30", "010", "4294967297", "9223372036854775808"},
	"uint64":        {"", "x", "-1", "1e30", "1_000", "010", "NaN", "18446744073709551616"},
	"uint32":        {"", "x", "-1", "0", "010", "4294967296", "4294967297"},
	"intSlice":      {"", "x", "-1", "1,x", "1,,2", "010", "9223372036854775808"},
	"float64":       {"", "x", "-1", "NaN", "Inf", "-Inf", "1e400"},
	"duration":      {"", "x", "-1s", "1", "NaN", "1e30s", "9999999999h", "-0.5ns", "0.5ns"},
	"durationSlice": {"", "x", "-1s", "1"},
}

// arguments are what a command needs before its flags are looked at. Others need nothing.
var arguments = map[string]string{
	"lbctl drain":            "web 10.0.0.1:8080",
	"lbctl describe replica": "web 10.0.0.1:8080",
	"lbctl describe service": "web",
	"lbctl replica add":      "web 10.0.0.3:8080",
	"lbctl replica set":      "web 10.0.0.1:8080",
	"lbctl service add":      "new --vip 192.0.2.9:80",
	"lbctl service set":      "dns",
	"lbctl apply":            "-f DIR/web.yaml",
	"lbctl rss hash":         "--src 192.0.2.1:1 --dst 192.0.2.2:2",
	"lbctl explain":          "--src 192.0.2.1:1 --dst 192.0.2.2:2",
	"lbctl rss ports":        "--src 192.0.2.1 --dst 192.0.2.2:2 --queue 1",
	"lbctl rss replay":       "DIR/none.pcap",
	"lbctl rss plan":         "DIR/none.pcap",
	"lbctl rss identify":     "DIR/none.csv",
	"lbctl rss verify":       "lo",
	"lbctl rss set":          "lo",
	"lbctl rss key analyse":  "ms",
	"lbctl lab run":          "spread",
	"lbctl bench live":       "",
}

// said is what a model calls the thing of a flag; the others are named as --flag.
var said = map[string]string{
	"key generate --length": "rss key of", "key generate --table": "indirection table of",
	"simulate --app-cost": "application cost", "simulate --app-share": "share of", "simulate --budget": "poll budget", "simulate --busy-poll": "busy poll",
	"simulate --elephant-share": "elephants' share", "simulate --elephants": "elephants", "simulate --flows": "flows", "simulate --frames": "frames",
	"simulate --interrupt-cost": "interrupt cost", "simulate --kib-cost": "KiB cost", "simulate --netdev-budget": "round budget",
	"simulate --netdev-budget-time": "round time", "simulate --off": "bursts of", "simulate --on": "bursts of", "simulate --packet-cost": "packet cost",
	"simulate --poll-cost": "poll cost", "simulate --rate": "rate of", "simulate --ring": "ring of", "simulate --skew": "skew of",
	"simulate --slice": "slice of", "simulate --socket-queue": "socket of", "simulate --switch-cost": "switch cost", "simulate --warmup": "warm-up of",
}

// TestNoFlagTakesHostileValues: each is refused with exit code 2 by an error that names the flag or its thing, and
// nothing happens.
func TestNoFlagTakesHostileValues(t *testing.T) {
	w := newWorld(t)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	before := w.OK("get", "config")
	a := &cli.App{Environment: w.Environment(t.Context())}
	seen := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "completion" {
			return
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			for _, value := range hostileValues[f.Value.Type()] {
				if f.Name == "seed" && value == "0" {
					continue // the default of a service
				}
				seen++
				checkFlag(t, w, c.CommandPath(), f.Name, value)
			}
		})
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(a.Root(commands(a)...))
	if seen < 100 {
		t.Errorf("%d values were tried", seen)
	}
	if after := w.OK("get", "config"); after != before {
		t.Errorf("something changed:\n%s", after)
	}
}

func checkFlag(t *testing.T, w *clitest.World, command, flag, value string) {
	t.Helper()
	line := strings.TrimPrefix(command, "lbctl ") + " " + arguments[command]
	args := append(w.Line(line), fmt.Sprintf("--%s=%s", flag, value))
	// A command that takes the value ends when it begins to do something.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	env := w.Environment(ctx, args...)
	var stderr strings.Builder
	env.Stderr = &stderr
	defer func() {
		if cause := recover(); cause != nil {
			t.Errorf("lbctl %s: panic: %v", strings.Join(args, " "), cause)
		}
	}()
	what, known := said[strings.TrimPrefix(command, "lbctl rss ")+" --"+flag]
	code := w.RunIn(env)
	named := strings.Contains(stderr.String(), "--"+flag) || known && strings.Contains(stderr.String(), what)
	if code != cli.ExitUsage || !named {
		t.Errorf("lbctl %s: exit %d: %s", strings.Join(args, " "), code, stderr.String())
	}
}
