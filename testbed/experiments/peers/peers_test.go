package peers

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"lbctl/testbed/experiment"
	"lbctl/testbed/load"
)

// set returns a benchmark with a parameter set.
func set(assignment string) (*bench, error) {
	b := &bench{}
	return b, experiment.NewParameters(b).Set(assignment)
}

func names(list []peer) (all []string) {
	for _, p := range list {
		all = append(all, p.name)
	}
	return all
}

func TestChoice(t *testing.T) {
	for list, want := range map[string]string{
		usual:                  "direct xdp lbctl nftables nftables-stateless haproxy nginx slowed",
		"nginx, lbctl":         "lbctl nginx",
		"lbctl,direct,lbctl":   "direct lbctl slowed",
		"forward,xdp":          "forward xdp",
		"lbctl-generic,direct": "direct lbctl-generic",
	} {
		b, err := set("peers=" + list)
		if err != nil {
			t.Fatalf("%s: %v", list, err)
		}
		if got := strings.Join(names(b.chosen), " "); got != want {
			t.Errorf("%s: chosen %s, want %s", list, got, want)
		}
		if len(b.works) != 4 {
			t.Errorf("%d works by default, want 4", len(b.works))
		}
	}
	b, err := set("works=datagrams, packets,datagrams")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"datagrams", "packets"}, []string{b.works[0].Name, b.works[len(b.works)-1].Name}); diff != "" || len(b.works) != 2 {
		t.Errorf("works (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	for assignment, says := range map[string]string{
		"requests=0":           "requests=0: want 1 to 10000000",
		"requests=99999999999": "want 1 to 10000000",
		"concurrency=-1":       "concurrency=-1: want 1 to 1000",
		"rounds=0":             "rounds=0: want 1 to 1000",
		"replicas=33":          "replicas=33: want 1 to 32",
		"peers=":               `"" is not known: want some of direct, forward`,
		"peers=direct,ipvs":    `"ipvs" is not known`,
		"peers=slowed":         `"slowed" is not known`,
		"works=http":           `"http" is not known: want some of connections,packets`,
		"works=":               `"" is not known`,
	} {
		_, err := set(assignment)
		if !errors.Is(err, experiment.ErrParameter) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want ErrParameter saying %q", assignment, err, says)
		}
	}
}

// written fills a configuration in for two replicas and the works of both protocols.
func written(t *testing.T, text string, modules ...string) string {
	t.Helper()
	works := load.Works()
	s := settings{
		VIP: netip.MustParseAddr("192.0.2.7"), Router: netip.MustParseAddr("10.66.0.1"), Folder: "/run/x", Threads: 2, Modules: modules,
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
		"nftables": {written(t, tracked), []string{
			"ip daddr 192.0.2.7 tcp dport 80 dnat to jhash ip saddr . tcp sport mod 2 map { 0 : 10.0.0.2, 1 : 10.0.1.2 }",
			"ip daddr 192.0.2.7 udp dport 83 dnat to jhash ip saddr . udp sport mod 2 map { 0 : 10.0.0.2, 1 : 10.0.1.2 }",
		}, "load_module"},
		"nftables-stateless": {written(t, stateless), []string{
			`chain replica1 { ip daddr set 10.0.1.2 fwd ip to 10.0.1.2 device "replica1"; }`,
			"jhash ip saddr . th sport mod 2 vmap { 0 : goto replica0, 1 : goto replica1 }\n",
			"vmap { 192.0.2.7 . tcp . 80 : goto spread, 192.0.2.7 . udp . 83 : goto spread }\n", `devices = { "replica0", "replica1" }`,
			"10.0.0.2 . tcp . 80 : 192.0.2.7, 10.0.0.2 . udp . 83 : 192.0.2.7, 10.0.1.2 . tcp . 80 : 192.0.2.7, ", `fwd ip to 10.66.0.1 device "clients"`,
		}, "dnat"},
		"haproxy": {written(t, haproxy), []string{
			"nbthread 2\n", "cpu-map auto:1/1-2 0-1\n", "tune.bufsize 131072\n", "mode tcp\n", "bind 192.0.2.7:80\n", "server replica0 10.0.0.2:80\n", "server replica1 10.0.1.2:80\n",
		}, ":83"},
		"nginx": {written(t, nginx, "/m.so"), []string{
			"load_module /m.so;\n", "worker_processes 2;\n", "worker_cpu_affinity auto;\n", "proxy_buffer_size 128k;\n", "listen 192.0.2.7:80 reuseport;", "listen 192.0.2.7:83 udp reuseport;",
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
