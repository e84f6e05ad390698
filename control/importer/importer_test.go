package importer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/config"
	"lbctl/control/importer"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// cases are texts, the configurations that they become, and what could not be carried over.
var cases = []struct {
	name  string
	read  func(string) (importer.Result, error)
	text  string
	want  string
	lacks []string
}{
	{"ipvsadm", ipvs, `-A -t 192.0.2.1:80 -s wlc -p 300
-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 1
-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 0 -x 100
-a -t 192.0.2.1:80 -r 10.0.0.3:80 -g -w 1
-A -u [2001:db8::1]:53 -s mh -b mh-port
-a -u [2001:db8::1]:53 -r [2001:db8:1::1]:53 -i -w 3 --tun-type gue --tun-port 6080 --tun-nocsum
-A -f 7 -s rr
-a -f 7 -r 10.0.0.9:0 -g -w 1
`, `services:
  - name: tcp-192-0-2-1-80
    vip: 192.0.2.1:80
    protocol: tcp
    mode: nat
    scheduler: maglev
    replicas:
      - address: 10.0.0.1:8080
        weight: 1
      - address: 10.0.0.2:8080
        state: draining
  - name: udp-2001-db8-1-53
    vip: "[2001:db8::1]:53"
    protocol: udp
    mode: ipip
    encapsulation: gue
    tunnel_port: 6080
    scheduler: maglev
    replicas:
      - address: "[2001:db8:1::1]:53"
        weight: 3
`, []string{
		"line 1: scheduler wlc looks at load: replicas are chosen by a hash of addresses and ports (maglev, by weight)",
		"line 1: persistence (-p): a client's connections may go to different replicas",
		"line 3: connection thresholds (-x, -y) of 10.0.0.2:8080",
		"line 4: real server 10.0.0.3:80 is forwarded to as dsr, and others of tcp-192-0-2-1-80 as nat: a service has one mode",
		"line 7: virtual servers by firewall mark, and SCTP",
	}},
	{"haproxy", haproxy, `global
    daemon
defaults
    mode tcp
    timeout connect 5s
listen Redis.main   # the main one
    bind 192.0.2.1:6379
    bind *:6380
    balance roundrobin
    server a 10.0.0.1:6379 check inter 2s weight 3
    server b 10.0.0.2:6379 disabled
    server c 10.0.0.3:6379 backup
frontend web
    bind ipv4@192.0.2.1:80 ssl
    default_backend servers
frontend api
    mode http
    bind 192.0.2.1:8080
    default_backend servers
frontend nowhere
    bind 192.0.2.1:8081
    default_backend none
backend servers
    http-reuse safe
    server w 10.0.1.1:80
    server x web.example:80
`, `services:
  - name: redis-main
    vip: 192.0.2.1:6379
    protocol: tcp
    mode: nat
    scheduler: maglev
    replicas:
      - address: 10.0.0.1:6379
        weight: 3
      - address: 10.0.0.2:6379
        state: down
  - name: web
    vip: 192.0.2.1:80
    protocol: tcp
    mode: nat
    scheduler: maglev
    replicas:
      - address: 10.0.1.1:80
`, []string{
		"line 6: balance roundrobin: replicas are chosen by a hash of addresses and ports (maglev, by weight)",
		"line 8: bind *:6380: a service has one address and port, written in full",
		"line 10: health check of server a",
		"line 12: server c is a backup: it is left out",
		"line 14: TLS: packets are forwarded as they are",
		"line 16: frontend api is in mode http: its requests are balanced one by one, packets cannot be",
		"line 20: frontend nowhere has no default_backend that is in the file",
		"line 24: setting http-reuse",
		"line 26: server x at web.example:80: want an address and a port",
	}},
	{"two VIPs of one backend", haproxy, "defaults\n  mode tcp\nlisten a\n  bind 192.0.2.1:80,192.0.2.2:80\n  server x 10.0.0.1:80\n", `services:
  - name: a
    vip: 192.0.2.1:80
    protocol: tcp
    mode: nat
    scheduler: maglev
    tracking: always
    replicas:
      - address: 10.0.0.1:80
  - name: a-2
    vip: 192.0.2.2:80
    protocol: tcp
    mode: nat
    scheduler: maglev
    tracking: always
    replicas:
      - address: 10.0.0.1:80
`, nil},
}

func ipvs(text string) (importer.Result, error) { return importer.IPVS(strings.NewReader(text)) }

func haproxy(text string) (importer.Result, error) { return importer.HAProxy(strings.NewReader(text)) }

func TestImport(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := c.read(c.text)
			if err != nil {
				t.Fatal(err)
			}
			text, err := config.Write(r.Config)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(text)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if _, err := wire.Resolve(r.Config, intent.Default()); err != nil {
				t.Error(err)
			}
			var lacks []string
			for _, l := range r.Lacks {
				lacks = append(lacks, l.String())
			}
			if diff := cmp.Diff(c.lacks, lacks); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// refuse demands that texts cannot be read, and why not.
func refuse(t *testing.T, read func(string) (importer.Result, error), texts map[string]string) {
	t.Helper()
	for text, want := range texts {
		if _, err := read(text); err == nil || err.Error() != want || !errors.Is(err, lb.ErrInvalid) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestRefused: what cannot be read names its line.
func TestRefused(t *testing.T) {
	refuse(t, ipvs, map[string]string{
		"-A -t 192.0.2.1:http -s rr\n":                            `line 1: invalid: "192.0.2.1:http" is not an address and a port: write numbers, with ipvsadm-save -n`,
		"\n-A -t\n":                                               "line 2: invalid: option -t has no value",
		"-D -t 192.0.2.1:80\n":                                    `line 1: invalid: want -A or -a, as ipvsadm-save writes it`,
		"-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m\n":                  "line 1: invalid: a real server of tcp 192.0.2.1:80, which was not added (-A)",
		"-A -t 192.0.2.1:80\n-A -t 192.0.2.1:80\n":                "line 2: invalid: tcp 192.0.2.1:80 is there already",
		"-A -t 192.0.2.1:80\n-a -t 192.0.2.1:80 -r x -w 1\n":      `line 2: invalid: "x" is not an address and a port: write numbers, with ipvsadm-save -n`,
		"-A -t 1.2.3.4:80\n-a -t 1.2.3.4:80 -r 10.0.0.1:80 -w -1": `line 2: invalid: weight "-1" is not a number`,
		strings.Repeat("-", 1<<17):                                "line 1: invalid: longer than 65536 bytes",
		"-t 192.0.2.1:80\n":                                       "line 1: invalid: want -A or -a, as ipvsadm-save writes it",
	})
	refuse(t, haproxy, map[string]string{
		"\xff\x00x\n":            `line 1: invalid: "\xff\x00x" stands before any section`,
		"listen\n":               "line 1: invalid: section listen has no name",
		"listen a\n  server x\n": "line 2: invalid: server has no name, or no address",
		"listen a\n  bind\n":     "line 2: invalid: bind has no address",
		"listen a\n server x 1.2.3.4:5 weight 300\n": `line 2: invalid: weight "300" of server x: want 0 to 256`,
	})
}

func FuzzIPVS(f *testing.F)    { fuzz(f, "ipvsadm", ipvs) }
func FuzzHAProxy(f *testing.F) { fuzz(f, "haproxy", haproxy) }

// fuzz reads any text: it is refused with its line, or becomes a configuration.
func fuzz(f *testing.F, name string, read func(string) (importer.Result, error)) {
	for _, c := range cases {
		if c.name == name {
			f.Add(c.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := read(text)
		if err != nil && !errors.Is(err, lb.ErrInvalid) {
			t.Fatal(err)
		}
		if _, err := config.Write(r.Config); err != nil {
			t.Fatal(err)
		}
	})
}
