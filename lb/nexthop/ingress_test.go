package nexthop

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/lb/testns"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// crossroads is a namespace with clients on "a" and "b" and two ways to a replica: by table main "up", by table 100 "side".
type crossroads struct {
	*testing.T
	network *Network
	index   map[string]int
	family  int
	to      netip.Addr
}

// other is the table that rules lead to.
const other = 100

func newCrossroads(t *testing.T, family int) crossroads {
	testns.Enter(t)
	testns.Sysctl(t, "net/ipv4/ip_forward", "1")
	testns.Sysctl(t, "net/ipv6/conf/all/forwarding", "1")
	network, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	c := crossroads{t, network, map[string]int{}, family, netip.MustParseAddr("10.7.0.2")}
	addresses := map[string]string{"a": "10.3.0.1/24", "b": "10.4.0.1/24", "up": "10.1.0.1/24", "side": "10.2.0.1/24"}
	if family == unix.AF_INET6 {
		c.to = netip.MustParseAddr("2001:db8:7::2")
		addresses = map[string]string{"a": "2001:db8:3::1/64", "b": "2001:db8:4::1/64", "up": "2001:db8:1::1/64", "side": "2001:db8:2::1/64"}
	}
	for name, address := range addresses {
		c.index[name] = testns.Veth(t, name, address).Attrs().Index
	}
	c.route("up", unix.RT_TABLE_MAIN, netip.MustParsePrefix(addresses["up"]).Addr().Next())
	c.route("side", other, netip.MustParsePrefix(addresses["side"]).Addr().Next())
	return c
}

func (c crossroads) route(by string, table int, gateway netip.Addr) {
	c.Helper()
	to := &net.IPNet{IP: c.to.AsSlice(), Mask: net.CIDRMask(c.to.BitLen(), c.to.BitLen())}
	if err := netlink.RouteAdd(&netlink.Route{Dst: to, Gw: gateway.AsSlice(), LinkIndex: c.index[by], Table: table}); err != nil {
		c.Fatal("add route:", err)
	}
}

// rule has what comes in on an interface use the other table.
func (c crossroads) rule(ingress string) *netlink.Rule {
	c.Helper()
	r := netlink.NewRule()
	r.IifName, r.Table, r.Priority, r.Family = ingress, other, 10, c.family
	if err := netlink.RuleAdd(r); err != nil {
		c.Fatal("add rule:", err)
	}
	return r
}

// gather gathers for packets that come in on interfaces.
func (c crossroads) gather(ingresses ...string) State {
	var all []int
	for _, name := range ingresses {
		all = append(all, c.index[name])
	}
	return c.network.Gather(all...)
}

// by returns the interface by which the replica is reached.
func (c crossroads) by(s State) string {
	hop, _ := s.Resolve(c.to)
	return s.name(int(hop.Ifindex))
}

// each runs a test in both families.
func each(t *testing.T, test func(crossroads)) {
	for name, family := range map[string]int{"IPv4": unix.AF_INET, "IPv6": unix.AF_INET6} {
		t.Run(name, func(t *testing.T) { test(newCrossroads(t, family)) })
	}
}

// A replica's next hop is that of the packets that come in: where a rule asks for the interface, theirs.
func TestIngressRules(t *testing.T) {
	each(t, func(c crossroads) {
		want := func(what, by string, ingresses ...string) {
			c.Helper()
			if got := c.by(c.gather(ingresses...)); got != by {
				c.Errorf("%s: from %v by %s, want %s", what, ingresses, got, by)
			}
		}
		want("no rule", "up", "a")
		c.rule("a")
		want("a rule", "side", "a")
		want("a rule for another ingress", "up", "b")
		want("no ingress", "up")
		want("the way back is no way in", "side", "a", "up")
		testns.Sysctl(c.T, "net/ipv4/conf/all/rp_filter", "1") // the client that is asked for has to be one on the link
		want("a rule, strict filter", "side", "a")
		if c.family == unix.AF_INET {
			testns.Sysctl(c.T, "net/ipv4/conf/a/forwarding", "0")
			want("no forwarding, so the kernel has no route", "up", "a")
		}
	})
}

// One operation has one answer for an address, whatever changes meanwhile, and asks for the next address anew.
func TestRoutesOfOneOperation(t *testing.T) {
	each(t, func(c crossroads) {
		s := c.gather("a")
		if by := c.by(s); by != "up" {
			c.Fatal("by", by)
		}
		c.rule("a")
		if by := c.by(s); by != "up" {
			c.Errorf("the same operation: by %s, was by up", by)
		}
		if all := s.Routes(c.to.Next()); len(all) > 0 && all[0].Route.Dst != nil && all[0].Route.Dst.Contains(c.to.AsSlice()) {
			c.Errorf("the next address has the routes of the one before: %v", all)
		}
		if by := c.by(c.gather("a")); by != "side" {
			c.Errorf("the next operation: by %s, want side", by)
		}
	})
}

// The address that outer packets are sent from is known whichever way the route was asked for.
func TestIngressSource(t *testing.T) {
	each(t, func(c crossroads) {
		plain, _ := c.gather().Resolve(c.to)
		c.rule("b")
		asked, _ := c.gather("a").Resolve(c.to)
		if asked.Tunnel != plain.Tunnel || asked.Ifindex != plain.Ifindex {
			c.Errorf("asked with an ingress %+v, without %+v", asked, plain)
		}
	})
}

// Where packets that come in on two interfaces should take different ways, that is said.
func TestIngressesDiffer(t *testing.T) {
	each(t, func(c crossroads) {
		c.rule("b")
		if text := c.gather("b").Differing(c.to); text != "" {
			c.Errorf("one ingress: %q", text)
		}
		s := c.gather("b", "a")
		from, second := "a", "b"
		if c.index["b"] < c.index["a"] {
			from, second = second, from
		}
		along := func(ingress string) string {
			if ingress == "b" {
				return "from b by side, via " + c.via("side")
			}
			return "from a by up, via " + c.via("up")
		}
		if got, want := s.Differing(c.to), along(from)+"; "+along(second); got != want {
			c.Errorf("two: %q, want %q", got, want)
		}
	})
}

// via is the gateway of the way by an interface.
func (c crossroads) via(name string) string {
	number := map[string]string{"up": "1", "side": "2"}[name]
	if c.family == unix.AF_INET6 {
		return "2001:db8:" + number + "::2"
	}
	return "10." + number + ".0.2"
}

// Whatever changes the way to a replica makes news: routes of every table and with several ways, rules, next hop objects.
func TestNewsOfEveryRoute(t *testing.T) {
	need.Programs(t, "ip")
	each(t, func(c crossroads) {
		testns.Sysctl(c.T, "net/ipv4/nexthop_compat_mode", "0") // else objects also make news of their routes
		n, err := c.network.subscribe()
		if err != nil {
			c.Fatal(err)
		}
		c.Cleanup(n.end)
		for _, step := range []struct {
			command, by string
			rule        bool
		}{
			{"rule add iif a lookup 100", "side", true},
			{"route change TO via UP table 100", "up", false},
			{"route replace TO table 100 nexthop via SIDE nexthop via NEAR", "side", false},
			{"rule del iif a lookup 100", "up", true},
			{"nexthop add id 7 via UP dev up", "up", true},
			{"route replace TO nhid 7", "up", false},
			{"nexthop replace id 7 via SIDE dev side", "side", true},
		} {
			c.ip(step.command)
			if by := c.by(c.gather("a")); by != step.by {
				c.Fatalf("%s: by %s, want %s", step.command, by, step.by)
			}
			if step.rule {
				next(c.T, step.command, n.rules)
				continue
			}
			for told := (Changes{}); !told.Routes(c.to); {
				told.addRoute(next(c.T, step.command, n.routes))
			}
		}
	})
}

// ip runs a command of ip(8).
func (c crossroads) ip(command string) {
	c.Helper()
	command = strings.NewReplacer("TO", c.to.String(), "UP", c.via("up"), "SIDE", c.via("side"), "NEAR", strings.TrimSuffix(c.via("side"), "2")+"3").Replace(command)
	family := map[int]string{unix.AF_INET: "-4", unix.AF_INET6: "-6"}[c.family]
	if out, err := exec.Command("ip", append([]string{family}, strings.Fields(command)...)...).CombinedOutput(); err != nil {
		c.Fatalf("ip %s: %v\n%s", command, err, out)
	}
}
