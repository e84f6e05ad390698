package peers

import (
	"net/netip"
	"strings"
	"testing"
	"text/template"

	"lbctl/testbed/bench/load"
)

// written fills a configuration in for two replicas and the works of both protocols.
func written(t *testing.T, text string, modules ...string) string {
	t.Helper()
	works := load.Works()
	s := settings{
		VIP: netip.MustParseAddr("192.0.2.7"), Folder: "/run/x", Threads: 2, Modules: modules,
		Works:    []load.Work{works[0], works[len(works)-1]},
		Replicas: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.1.2")},
	}
	var out strings.Builder
	if err := template.Must(template.New("").Parse(text)).Execute(&out, s); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestConfigurations: each names the VIP, every replica and, where the peer takes them, all works; HAProxy
// gets no datagrams; the proxies get a thread for each core.
func TestConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		got  string
		want []string
		not  string
	}{
		"nftables": {written(t, nftables), []string{
			"ip daddr 192.0.2.7 tcp dport 80 dnat to jhash ip saddr . tcp sport mod 2 map { 0 : 10.0.0.2, 1 : 10.0.1.2 }",
			"ip daddr 192.0.2.7 udp dport 83 dnat to jhash ip saddr . udp sport mod 2 map { 0 : 10.0.0.2, 1 : 10.0.1.2 }",
		}, "load_module"},
		"haproxy": {written(t, haproxy), []string{
			"nbthread 2\n", "mode tcp\n", "bind 192.0.2.7:80\n", "server replica0 10.0.0.2:80\n", "server replica1 10.0.1.2:80\n",
		}, ":83"},
		"nginx": {written(t, nginx, "/m.so"), []string{
			"load_module /m.so;\n", "worker_processes 2;\n", "listen 192.0.2.7:80 reuseport;", "listen 192.0.2.7:83 udp reuseport;",
			"upstream connections { server 10.0.0.2:80; server 10.0.1.2:80; }",
		}, "http {"},
	} {
		for _, want := range c.want {
			if !strings.Contains(c.got, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, c.got)
			}
		}
		if strings.Contains(c.got, c.not) {
			t.Errorf("%s: %q is in\n%s", name, c.not, c.got)
		}
	}
}
