package describe_test

import (
	"regexp"
	"strings"
	"testing"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// lines has the words of what is printed, times left out.
func lines(text string) string {
	var all []string
	for line := range strings.Lines(regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`).ReplaceAllString(text, "T")) {
		all = append(all, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(all, "\n")
}

// TestDescribe: a page has what is declared, what is set by hand, conditions, shares and what happened.
func TestDescribe(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	w.OK("apply", "-f", w.Write("more.yaml", "pools: [{name: backends, replicas: [{address: 10.0.0.4, weight: 2}, {address: 10.0.0.5}]}]\n"+clitest.WebConfig+
		"  - {name: pooled, vip: 192.0.2.7:80, end_port: 89, mode: dsr, scheduler: maglev, pool: backends}\n"))
	w.OK("down", "web", "10.0.0.2:8080", "--note", "disk is being replaced")
	for _, c := range []struct {
		line  string
		wants []string
	}{
		{"describe service web --over 10ms", []string{"Name: web", "VIP: tcp 192.0.2.1:80", "Scheduler: modulo, by jhash", "Programmed true T InSync -", "Healthy unknown - NotChecked the service has no check",
			"Ready true T TakesNewFlows -", "10.0.0.1:8080 active - 1 100.0 % - 0 0+ - -", "10.0.0.2:8080 down - 1 0.0 % - 0 0+ down -", "T intent_changed"}},
		{"describe replica web 10.0.0.2:8080 --over 10ms", []string{"State: down", "Declared: active, weight 1", "Note: disk is being replaced", "Share of new flows: 0.0 %", "Next hop: no route", "T intent_changed - - set by hand replica 10.0.0.2:8080 of service web"}},
		{"describe pool backends", []string{"Name: backends", "10.0.0.4 active 2 -", "pooled tcp 192.0.2.7:80-89 true unknown true"}},
		{"describe service pooled --over 10ms", []string{"VIP: tcp 192.0.2.7:80-89", "Pool: backends", "10.0.0.4:80 active - 2 66.7 % - 0 0+ - -", "10.0.0.5:80 active - 1 33.3 % - 0 0+ - -"}},
		{"describe replica pooled 10.0.0.4:80 --over 10ms", []string{"Service: pooled (tcp 192.0.2.7:80-89)"}},
		{"describe interface eth0", []string{"State: attached", "Index: 2", "Mode: native", "Requested: auto"}},
	} {
		out := lines(w.OK(strings.Fields(c.line)...))
		for _, want := range c.wants {
			if !strings.Contains("\n"+out+"\n", "\n"+want) {
				t.Errorf("lbctl %s lacks %q:\n%s", c.line, want, out)
			}
		}
	}
	w.Refused("describe service wbe", cli.ExitNotFound, `service "wbe": not found`, "list what there is: lbctl get services, lbctl get replicas, lbctl get interfaces")
	w.Refused("describe replica web 10.0.0.9:8080 --over 10ms", cli.ExitNotFound, `replica "10.0.0.9:8080": not found`, "did you mean 10.0.0.1:8080?")
	w.Refused("describe pool backend", cli.ExitNotFound, `pool "backend": not found`, "did you mean backends?")
	w.Refused("describe interface eth7", cli.ExitNotFound, `interface "eth7": not found`, "did you mean eth0?")
	w.Refused("describe service web --over 1ms", cli.ExitUsage, "--over: 1ms is out of range: want 10ms to 1h", "see lbctl describe service --help")
	for line, want := range map[string]string{"describe service": "web\n", "describe replica web": "10.0.0.1:8080\n", "describe pool": "backends\n", "describe interface": "eth0\n"} {
		if _, out, _ := w.Run(append(append([]string{"__complete"}, strings.Fields(line)...), "")...); !strings.HasPrefix(out, want) {
			t.Errorf("%s completes as %s", line, out)
		}
	}
}
