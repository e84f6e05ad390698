package importer

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"lbctl/control/api"
	"lbctl/lb"
)

// HAProxy reads a haproxy.cfg: each address that a section listen, or a frontend with its default_backend, binds in mode tcp is a
// service in mode nat. The error wraps lb.ErrInvalid and names the line.
func HAProxy(text io.Reader) (Result, error) {
	h := haproxy{defaults: &section{}}
	if err := eachLine(text, h.line); err != nil {
		return Result{}, err
	}
	return h.result(), nil
}

// section is a part of the file.
type section struct {
	line       int
	kind, name string
	mode       string
	balance    string
	binds      []bind
	servers    []api.Replica
	backend    string
	lacks      []Lack
}

type bind struct {
	line int
	to   netip.AddrPort
}

// haproxy is what has been read.
type haproxy struct {
	defaults *section
	sections []*section
	// now is the section of the line, nil for one that is of no interest.
	now *section
	// begun: there was a section.
	begun bool
}

func (h *haproxy) line(n int, words []string) error {
	switch kind := words[0]; kind {
	case "defaults":
		h.defaults = &section{line: n, kind: kind}
		h.now = h.defaults
	case "listen", "frontend", "backend":
		if len(words) < 2 {
			return fmt.Errorf("section %s has no name", kind)
		}
		h.now = &section{line: n, kind: kind, name: words[1], mode: h.defaults.mode, balance: h.defaults.balance}
		h.sections = append(h.sections, h.now)
	case "global", "userlist", "peers", "mailers", "resolvers", "cache", "program", "ring", "http-errors", "fcgi-app", "log-forward":
		h.now = nil
	default:
		switch {
		case !h.begun:
			return fmt.Errorf("%.40q stands before any section", kind)
		case h.now != nil:
			return h.now.setting(n, words)
		}
		return nil
	}
	h.begun = true
	return nil
}

// silent are settings without a meaning where packets are forwarded, or without a use.
var silent = []string{"log", "option", "timeout", "retries", "maxconn", "description", "errorfile", "no", "default-server"}

func (s *section) setting(n int, words []string) error {
	argument := ""
	if len(words) > 1 {
		argument = words[1]
	}
	switch {
	case words[0] == "mode":
		s.mode = argument
	case words[0] == "balance":
		s.balance = argument
	case words[0] == "default_backend":
		s.backend = argument
	case words[0] == "bind":
		return s.bind(n, words[1:])
	case words[0] == "server":
		return s.server(n, words[1:])
	case s.kind == "defaults" || slices.Contains(silent, words[0]):
	default:
		s.lacks = append(s.lacks, Lack{n, "setting " + words[0]})
	}
	return nil
}

func (s *section) bind(n int, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("bind has no address")
	}
	for address := range strings.SplitSeq(words[0], ",") {
		for _, prefix := range []string{"ipv4@", "ipv6@"} {
			address = strings.TrimPrefix(address, prefix)
		}
		vip, err := netip.ParseAddrPort(address)
		if err != nil || vip.Addr().IsUnspecified() {
			s.lacks = append(s.lacks, Lack{n, fmt.Sprintf("bind %s: a service has one address and port, written in full", address)})
			continue
		}
		s.binds = append(s.binds, bind{n, vip})
	}
	if slices.Contains(words, "ssl") {
		s.lacks = append(s.lacks, Lack{n, "TLS: packets are forwarded as they are"})
	}
	return nil
}

// server reads "server NAME ADDRESS [PARAMETER ...]".
func (s *section) server(n int, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("server has no name, or no address")
	}
	address, err := netip.ParseAddrPort(words[1])
	if err != nil {
		s.lacks = append(s.lacks, Lack{n, fmt.Sprintf("server %s at %s: want an address and a port", words[0], words[1])})
		return nil
	}
	r := api.Replica{Address: address.String()}
	for i := 2; i < len(words); i++ {
		switch words[i] {
		case "weight":
			if i++; i == len(words) {
				return fmt.Errorf("weight of server %s has no value", words[0])
			}
			weight, err := strconv.ParseUint(words[i], 10, 16)
			if err != nil || weight > 256 {
				return fmt.Errorf("weight %.20q of server %s: want 0 to 256", words[i], words[0])
			}
			if weight == 0 { // no new connections
				r.State = lb.Draining.String()
			} else {
				r.Weight = number(int64(weight))
			}
		case "disabled":
			r.State = lb.Down.String()
		case "backup":
			s.lacks = append(s.lacks, Lack{n, fmt.Sprintf("server %s is a backup: it is left out", words[0])})
			return nil
		case "check":
			s.lacks = append(s.lacks, Lack{n, fmt.Sprintf("health check of server %s", words[0])})
		case "inter", "fall", "rise", "port", "maxconn", "fastinter", "downinter", "slowstart":
			i++ // of the check, and what goes with it
		default:
			s.lacks = append(s.lacks, Lack{n, fmt.Sprintf("%s of server %s", words[i], words[0])})
		}
	}
	s.servers = append(s.servers, r)
	return nil
}

// result makes a service of each address that is bound.
func (h *haproxy) result() (r Result) {
	r.Config.Services = []api.Service{}
	used := map[string]bool{}
	for _, s := range h.sections {
		if s.kind == "backend" {
			continue
		}
		from := s
		if s.kind == "frontend" {
			n := slices.IndexFunc(h.sections, func(b *section) bool { return b.kind == "backend" && b.name == s.backend })
			if n < 0 {
				r.lack(s.line, "frontend %s has no default_backend that is in the file", s.name)
				continue
			}
			from = h.sections[n]
		}
		if s.mode != "tcp" || from.mode != "tcp" {
			r.lack(s.line, "%s %s is in mode http: its requests are balanced one by one, packets cannot be", s.kind, s.name)
			continue
		}
		r.Lacks = append(r.Lacks, s.lacks...)
		if from != s && !used[from.name] {
			r.Lacks = append(r.Lacks, from.lacks...)
		}
		used[from.name] = true
		if from.balance != "" {
			r.lack(from.line, "balance %s: replicas are chosen by a hash of addresses and ports (maglev, by weight)", from.balance)
		}
		for i, b := range s.binds {
			r.Config.Services = append(r.Config.Services, api.Service{
				Name: serviceName(s.name, i, b.to), VIP: b.to.String(), Protocol: "tcp", Mode: lb.NAT.String(), Scheduler: lb.Maglev.String(),
				Replicas: append([]api.Replica{}, from.servers...),
			})
		}
	}
	return r.finish()
}

// serviceName is the section's name where that can be one, of its first address.
func serviceName(name string, nth int, vip netip.AddrPort) string {
	clean := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
			return c
		case c >= 'A' && c <= 'Z':
			return c + 'a' - 'A'
		}
		return '-'
	}, name), "-")
	if clean == "" {
		return nameOf("tcp", vip)
	}
	if nth > 0 {
		clean = clean[:min(len(clean), 58)] + "-" + strconv.Itoa(nth+1)
	}
	return clean[:min(len(clean), 63)]
}
