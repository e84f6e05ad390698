package peers

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"text/template"

	"lbctl/rss/packet"
	"lbctl/testbed/helper"
	"lbctl/testbed/load"
)

// at is an address with the port of some work.
func at(a netip.Addr, w load.Work) netip.AddrPort { return netip.AddrPortFrom(a, w.Port) }

// settings are the values for the templates below.
type settings struct {
	VIP netip.Addr
	// Router is the next hop to the clients.
	Router  netip.Addr
	Folder  string
	Threads int
	// Modules are the files of modules that nginx loads.
	Modules  []string
	Works    []load.Work
	Replicas []netip.Addr
}

// LastCore is the number of the last core.
func (s settings) LastCore() int { return s.Threads - 1 }

// UDP tells the templates whether a work is of UDP.
func (settings) UDP(w load.Work) bool { return w.Protocol == packet.UDP }

// haproxy is tuned, by microseconds of CPU time that a request of 120 kB cost above direct, and by requests a second of
// direct with 64 bytes over open connections, each alone beside the defaults in interleaved rounds (two cores of an AMD
// Zen 3, busy otherwise). Buffers of 128 KiB in place of 16: 597 us to 395. Threads each bound to a core: 0.66 of
// direct to 0.82, at 10 us more. Without effect beyond the noise: buffers of 256 KiB, splice-auto with pipes of 64 KiB and
// 1 MiB, edge-triggered polling, a listener for each thread (shards), tcp-smart-accept and -connect, balance random and static-rr.
const haproxy = `global
	nbthread {{.Threads}}
	cpu-map auto:1/1-{{.Threads}} 0-{{.LastCore}}
	maxconn 4096
	tune.bufsize 131072
defaults
	mode tcp
	timeout connect 5s
	timeout client 30s
	timeout server 30s
{{- range .Works}}{{if not ($.UDP .)}}
listen {{.Name}}
	bind {{$.VIP}}:{{.Port}}
{{- $port := .Port}}{{range $i, $r := $.Replicas}}
	server replica{{$i}} {{$r}}:{{$port}}
{{- end}}{{end}}{{end}}
`

// nginx is tuned as haproxy above. Buffers of 128 KiB in place of 16: 612 us to 402. Workers each bound to a core: 0.67 of direct
// to 0.79, at 5 us more. Without effect beyond the noise: buffers of 256 KiB, multi_accept, a longer backlog,
// timer_resolution, random in place of round robin. Off by default already: logs of connections, keep-alive probes, Nagle.
const nginx = `{{range .Modules}}load_module {{.}};
{{end}}user root;
worker_processes {{.Threads}};
worker_cpu_affinity auto;
pid {{.Folder}}/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 65536;
events { worker_connections 16384; }
stream {
	proxy_buffer_size 128k;
{{- range .Works}}
	upstream {{.Name}} { {{$port := .Port}}{{range $.Replicas}}server {{.}}:{{$port}}; {{end}}}
	server {
		listen {{$.VIP}}:{{.Port}}{{if $.UDP .}} udp{{end}} reuseport;
		proxy_pass {{.Name}};
	}
{{- end}}
}
`

// configure writes a configuration file and returns its path.
func (b *bench) configure(p *path, text string) (string, error) {
	s := settings{VIP: p.vip(), Router: host(p.clientNet(), 1), Folder: b.run.Bed.Path(""), Threads: b.threads, Works: b.works, Modules: streamModule(p.program)}
	for i := range b.replicas {
		s.Replicas = append(s.Replicas, p.replica(i))
	}
	var out strings.Builder
	if err := template.Must(template.New(p.name).Parse(text)).Execute(&out, s); err != nil {
		return "", fmt.Errorf("write configuration of %s: %w", p.name, err)
	}
	file := b.run.Bed.Path(p.name + ".conf")
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		return "", fmt.Errorf("write configuration of %s: %w", p.name, err)
	}
	return file, nil
}

// streamModule returns the file of nginx's stream module if it is a file, as in Debian.
func streamModule(program string) []string {
	const file = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(file); err != nil || program != "nginx" {
		return nil
	}
	return []string{file}
}

func startHAProxy(_ context.Context, b *bench, p *path) error {
	file, err := b.configure(p, haproxy)
	if err != nil {
		return err
	}
	return b.startProxy(p, "-db", "-f", file)
}

func startNginx(_ context.Context, b *bench, p *path) error {
	file, err := b.configure(p, nginx)
	if err != nil {
		return err
	}
	return b.startProxy(p, "-p", b.run.Bed.Path(""), "-e", "stderr", "-c", file, "-g", "daemon off;")
}

// startProxy starts a proxy in the foreground, on the VIP.
func (b *bench) startProxy(p *path, args ...string) error {
	lo, err := p.balancer.Link("lo")
	if err != nil {
		return err
	}
	if err := lo.AddAddress(netip.PrefixFrom(p.vip(), p.vip().BitLen())); err != nil {
		return err
	}
	started, err := helper.StartFamily(p.balancer, p.name, append([]string{b.programs[p.program]}, args...)...)
	if err != nil {
		return err
	}
	p.pid, p.process = started.PID(), started
	b.run.Bed.OnClose(started.End)
	return nil
}

// where finds a program, also where only root's PATH has it.
func where(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + program)
	}
	return path, err
}
