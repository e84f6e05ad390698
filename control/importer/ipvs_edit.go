package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lbctl/control/api"
	"lbctl/lb"
)

// ipvsCommands are the long names of the commands of ipvsadm(8) that change something.
var ipvsCommands = []string{"add-service", "edit-service", "delete-service", "add-server", "edit-server", "delete-server", "clear"}

// EditIPVS changes a configuration as a line of ipvsadm(8) changes the kernel's table: -A, -E, -D, -a, -e, -d or -C. It returns
// the name of the service that is added, changed or removed, "" if that is all of them. notes say what lbctl does otherwise than that
// line asks. What cannot be carried over is an error. Errors wrap lb.ErrInvalid, or
// lb.ErrNotFound and lb.ErrConflict as ipvsadm's "no such" and "already exists". With an error the configuration is to be
// thrown away.
func EditIPVS(c *api.Config, words []string) (name string, notes []string, err error) {
	o, err := parseOptions(Expand(words))
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", lb.ErrInvalid, err)
	}
	var commands []string
	for _, name := range ipvsCommands {
		if _, has := o[name]; has {
			commands = append(commands, name)
		}
	}
	if len(commands) != 1 {
		return "", nil, fmt.Errorf("%w: want one command of -A, -E, -D, -a, -e, -d and -C", lb.ErrInvalid)
	}
	if commands[0] == "clear" {
		c.Services = []api.Service{}
		return "", nil, nil
	}
	e, err := newIPVSEdit(c, o)
	if err == nil {
		err = e.do(commands[0])
	}
	if err != nil {
		return "", nil, err
	}
	*c = e.Config
	for _, l := range e.Lacks {
		if !strings.HasPrefix(l.What, "scheduler ") {
			return "", nil, fmt.Errorf("%w: cannot be carried over: %s", lb.ErrInvalid, l.What)
		}
		notes = append(notes, l.What)
	}
	if e.at < 0 {
		e.name = c.Services[len(c.Services)-1].Name
	}
	return e.name, notes, nil
}

// Expand takes clusters of short options apart: -Ln is -L -n.
func Expand(words []string) (all []string) {
	for _, w := range words {
		_, known := optionNames[w]
		if len(w) < 3 || w[0] != '-' || w[1] == '-' || known {
			all = append(all, w)
			continue
		}
		for _, letter := range w[1:] {
			all = append(all, "-"+string(letter))
		}
	}
	return all
}

// ipvsEdit is a configuration that a line changes.
type ipvsEdit struct {
	ipvs
	options  options
	protocol string
	vip      netip.AddrPort
	// at is where the service is, -1 if there is none, and name what it is called.
	at   int
	name string
}

func newIPVSEdit(c *api.Config, o options) (*ipvsEdit, error) {
	e := &ipvsEdit{ipvs: ipvs{Result: Result{Config: *c}, at: map[string]int{}}, options: o, protocol: "tcp", at: -1}
	address := o["tcp-service"]
	if udp, is := o["udp-service"]; is {
		e.protocol, address = "udp", udp
	}
	if address == "" {
		return nil, fmt.Errorf("%w: want -t or -u ADDRESS:PORT: firewall marks and SCTP cannot be carried over", lb.ErrInvalid)
	}
	var err error
	if e.vip, err = netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("%w: %.80q is not an address and a port: write numbers", lb.ErrInvalid, address)
	}
	for n, s := range c.Services {
		if vip, err := netip.ParseAddrPort(s.VIP); err == nil {
			e.ipvs.at[s.Protocol+vip.String()] = n
		}
	}
	if n, there := e.ipvs.at[e.protocol+e.vip.String()]; there {
		e.at, e.name = n, c.Services[n].Name
	}
	return e, nil
}

func (e *ipvsEdit) do(command string) error {
	what := fmt.Sprintf("%s %v", e.protocol, e.vip)
	if command == "add-service" {
		if e.at >= 0 {
			return fmt.Errorf("service %s: %w: it is there already", what, lb.ErrConflict)
		}
		if err := e.service(0, e.protocol, e.vip, e.options); err != nil {
			return fmt.Errorf("%w: %w", lb.ErrInvalid, err)
		}
		return nil
	}
	if e.at < 0 {
		return fmt.Errorf("service %s: %w", what, lb.ErrNotFound)
	}
	s := &e.Config.Services[e.at]
	switch command {
	case "edit-service":
		probe := ipvs{at: map[string]int{}}
		err := probe.service(0, e.protocol, e.vip, e.options)
		e.Lacks = probe.Lacks
		return err
	case "delete-service":
		e.Config.Services = slices.Delete(e.Config.Services, e.at, e.at+1)
		return nil
	}
	if s.Pool != "" {
		return fmt.Errorf("destinations of %s: %w: they are those of pool %s", what, lb.ErrConflict, s.Pool)
	}
	address, err := e.realServer()
	if err != nil {
		return err
	}
	replica := slices.IndexFunc(s.Replicas, func(r api.Replica) bool { return r.Address == address })
	switch {
	case command == "add-server" && replica >= 0:
		return fmt.Errorf("destination %s of %s: %w: it is there already", address, what, lb.ErrConflict)
	case command != "add-server" && replica < 0:
		return fmt.Errorf("destination %s of %s: %w", address, what, lb.ErrNotFound)
	case command == "delete-server":
		s.Replicas = slices.Delete(s.Replicas, replica, replica+1)
		return nil
	}
	return e.put(s, address, replica)
}

// put adds a replica, or puts it in the place of another.
func (e *ipvsEdit) put(s *api.Service, address string, at int) error {
	if at >= 0 {
		s.Replicas = slices.Delete(s.Replicas, at, at+1)
	}
	e.options["real-server"] = address
	before := len(s.Replicas)
	if err := e.server(0, e.protocol, e.vip, e.options); err != nil {
		return fmt.Errorf("%w: %w", lb.ErrInvalid, err)
	}
	if len(s.Replicas) == before {
		return nil // a lack says why
	}
	made := &s.Replicas[before]
	if made.Weight == nil {
		made.Weight = number(1)
	}
	if s.Mode != lb.IPIP.String() {
		s.TunnelSources = ""
	}
	if at >= 0 {
		moved := *made
		s.Replicas = slices.Insert(s.Replicas[:before], at, moved)
	}
	return nil
}

// realServer returns the address of -r. Without a port it has that of the service.
func (e *ipvsEdit) realServer() (string, error) {
	text := e.options["real-server"]
	if text == "" {
		return "", fmt.Errorf("%w: want -r ADDRESS[:PORT]", lb.ErrInvalid)
	}
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(a, e.vip.Port()).String(), nil
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return "", errors.Join(fmt.Errorf("%w: %.80q is not an address and a port: write numbers", lb.ErrInvalid, text))
	}
	return a.String(), nil
}

// SaveIPVS returns the lines of ipvsadm-save -n for a configuration: EditIPVS of them makes the same virtual and real servers.
// lost says what no line has. The services have their replicas themselves, also those of pools: see wire.OwnReplicas.
func SaveIPVS(c api.Config) (lines, lost []string) {
	for _, s := range c.Services {
		if s.Pool != "" {
			lost = append(lost, fmt.Sprintf("%s has the replicas of pool %s", s.Name, s.Pool))
		}
		which := map[string]string{"tcp": "-t ", "udp": "-u "}[s.Protocol] + s.VIP
		lines = append(lines, "-A "+which+" -s mh")
		lost = append(lost, unsaid(s)...)
		if s.Scheduler != lb.Maglev.String() {
			lost = append(lost, fmt.Sprintf("%s has the scheduler %s", s.Name, s.Scheduler))
		}
		method := map[string]string{"nat": "-m", "dsr": "-g", "ipip": "-i"}[s.Mode]
		switch s.Encapsulation {
		case lb.GUE.String():
			method += fmt.Sprintf(" --tun-type gue --tun-port %d", *s.TunnelPort)
		case lb.FOU.String():
			lost = append(lost, s.Name+" has the encapsulation fou")
		}
		for _, r := range s.Replicas {
			weight := int64(1)
			if r.Weight != nil {
				weight = *r.Weight
			}
			if r.State != lb.Active.String() {
				weight = 0
			}
			lines = append(lines, fmt.Sprintf("-a %s -r %s %s -w %d", which, r.Address, method, weight))
		}
	}
	return lines, lost
}

// unsaid is what a line of ipvsadm has no option for and a service restored from it would be without.
func unsaid(s api.Service) (lost []string) {
	if s.EndPort != nil {
		lost = append(lost, fmt.Sprintf("%s has the ports to %d", s.Name, *s.EndPort))
	}
	for what, has := range map[string]bool{"a health check": s.Health != nil, "a rate limit": s.RateLimit != nil, "source ranges": s.SourceRanges != nil} {
		if has {
			lost = append(lost, s.Name+" has "+what)
		}
	}
	return slices.Sorted(slices.Values(lost))
}
