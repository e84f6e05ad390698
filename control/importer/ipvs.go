package importer

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"lbctl/control/api"
	"lbctl/lb"
)

// IPVS reads what ipvsadm-save -n prints: a line for each virtual and each real server, with the options of ipvsadm(8).
// The error wraps lb.ErrInvalid and names the line.
func IPVS(text io.Reader) (Result, error) {
	r := ipvs{at: map[string]int{}}
	r.Config.Services = []api.Service{}
	if err := eachLine(text, r.line); err != nil {
		return Result{}, err
	}
	return r.finish(), nil
}

// ipvs is what has been read.
type ipvs struct {
	Result
	// at is where a virtual server is in the configuration, by protocol and address; -1 for one that cannot be carried over.
	at map[string]int
}

// options are those of a line, by their long names. Flags without a value have none.
type options map[string]string

// optionNames are the long names of short options, and whether they have a value.
var optionNames = map[string]struct {
	name  string
	value bool
}{
	"-A": {"add-service", false}, "-a": {"add-server", false},
	"-E": {"edit-service", false}, "-D": {"delete-service", false}, "-e": {"edit-server", false}, "-d": {"delete-server", false}, "-C": {"clear", false},
	"-t": {"tcp-service", true}, "-u": {"udp-service", true}, "-f": {"fwmark-service", true}, "--sctp-service": {"sctp-service", true},
	"-s": {"scheduler", true}, "-p": {"persistent", true}, "-M": {"netmask", true}, "-b": {"sched-flags", true}, "-o": {"ops", false},
	"--pe": {"pe", true}, "-6": {"ipv6", false},
	"-r": {"real-server", true}, "-g": {"gatewaying", false}, "-i": {"ipip", false}, "-m": {"masquerading", false}, "-w": {"weight", true},
	"-x": {"u-threshold", true}, "-y": {"l-threshold", true}, "--tun-type": {"tun-type", true}, "--tun-port": {"tun-port", true},
	"--tun-nocsum": {"tun-nocsum", false}, "--tun-csum": {"tun-csum", false}, "--tun-remcsum": {"tun-remcsum", false},
}

func parseOptions(words []string) (options, error) {
	o := options{}
	for i := 0; i < len(words); i++ {
		known, is := optionNames[words[i]]
		if !is {
			for _, long := range optionNames {
				if "--"+long.name == words[i] {
					known, is = long, true
				}
			}
		}
		if !is {
			return nil, fmt.Errorf("option %.40q is not one of ipvsadm-save", words[i])
		}
		value := ""
		if known.value {
			if i++; i == len(words) {
				return nil, fmt.Errorf("option %s has no value", words[i-1])
			}
			value = words[i]
		}
		o[known.name] = value
	}
	return o, nil
}

func (r *ipvs) line(n int, words []string) error {
	o, err := parseOptions(words)
	if err != nil {
		return err
	}
	_, service := o["add-service"]
	_, server := o["add-server"]
	if service == server {
		return errors.New("want -A or -a, as ipvsadm-save writes it")
	}
	protocol, address := "tcp", o["tcp-service"]
	if udp, is := o["udp-service"]; is {
		protocol, address = "udp", udp
	}
	if address == "" {
		if service {
			r.lack(n, "virtual servers by firewall mark, and SCTP")
		}
		return nil
	}
	vip, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%.80q is not an address and a port: write numbers, with ipvsadm-save -n", address)
	}
	if service {
		return r.service(n, protocol, vip, o)
	}
	return r.server(n, protocol, vip, o)
}

// service adds a virtual server.
func (r *ipvs) service(n int, protocol string, vip netip.AddrPort, o options) error {
	key := protocol + vip.String()
	if _, twice := r.at[key]; twice {
		return fmt.Errorf("%s %v is there already", protocol, vip)
	}
	if vip.Port() == 0 {
		r.lack(n, "a virtual server of all ports: lbctl serves one port")
		r.at[key] = -1
		return nil
	}
	r.at[key] = len(r.Config.Services)
	s := api.Service{Name: nameOf(protocol, vip), VIP: vip.String(), Protocol: protocol, Scheduler: lb.Maglev.String(), Replicas: []api.Replica{}}
	switch scheduler := o["scheduler"]; scheduler {
	case "", "mh":
	case "rr", "wrr", "sh", "dh":
		r.lack(n, "scheduler %s: replicas are chosen by a hash of addresses and ports (maglev, by weight)", scheduler)
	default:
		r.lack(n, "scheduler %s looks at load: replicas are chosen by a hash of addresses and ports (maglev, by weight)", scheduler)
	}
	for _, x := range []struct{ option, what string }{
		{"persistent", "persistence (-p): a client's connections may go to different replicas"},
		{"pe", "persistence engine (--pe)"},
		{"ops", "one-packet scheduling (-o): tracking: never is the nearest"},
	} {
		if _, has := o[x.option]; has {
			r.lack(n, "%s", x.what)
		}
	}
	r.Config.Services = append(r.Config.Services, s)
	return nil
}

// server adds a real server.
func (r *ipvs) server(n int, protocol string, vip netip.AddrPort, o options) error {
	at, known := r.at[protocol+vip.String()]
	switch {
	case !known:
		return fmt.Errorf("a real server of %s %v, which was not added (-A)", protocol, vip)
	case at < 0:
		return nil
	}
	s := &r.Config.Services[at]
	address, err := netip.ParseAddrPort(o["real-server"])
	if err != nil {
		return fmt.Errorf("%.80q is not an address and a port: write numbers, with ipvsadm-save -n", o["real-server"])
	}
	mode, encapsulation, tunnelPort := lb.DSR.String(), "", (*int64)(nil) // ipvsadm(8): -g is the default
	if _, is := o["masquerading"]; is {
		mode = lb.NAT.String()
	} else if _, is := o["ipip"]; is {
		mode = lb.IPIP.String()
		if encapsulation, tunnelPort, err = tunnel(o); err != nil {
			return err
		}
	}
	if len(s.Replicas) > 0 && (s.Mode != mode || s.Encapsulation != encapsulation) {
		r.lack(n, "real server %v is forwarded to as %s, and others of %s as %s: a service has one mode", address, mode, s.Name, s.Mode)
		return nil
	}
	s.Mode, s.Encapsulation, s.TunnelPort = mode, encapsulation, tunnelPort
	replica := api.Replica{Address: address.String()}
	if text, has := o["weight"]; has {
		weight, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return fmt.Errorf("weight %.20q is not a number", text)
		}
		switch {
		case weight == 0: // ipvsadm(8): no new connections
			replica.State = lb.Draining.String()
		case weight > 1<<16-1:
			r.lack(n, "weight %d of %v: 65535 is the most", weight, address)
			weight = 1<<16 - 1
			fallthrough
		default:
			replica.Weight = number(int64(weight))
		}
	}
	if o["u-threshold"] != "" && o["u-threshold"] != "0" || o["l-threshold"] != "" && o["l-threshold"] != "0" {
		r.lack(n, "connection thresholds (-x, -y) of %v", address)
	}
	s.Replicas = append(s.Replicas, replica)
	return nil
}

// tunnel returns what is around packets in mode ipip.
func tunnel(o options) (encapsulation string, port *int64, err error) {
	switch kind := o["tun-type"]; kind {
	case "", "ipip":
		return "", nil, nil
	case "gue":
		n, err := strconv.ParseUint(o["tun-port"], 10, 16)
		if err != nil || n == 0 {
			return "", nil, fmt.Errorf("--tun-port %.20q is not a port", o["tun-port"])
		}
		return lb.GUE.String(), number(int64(n)), nil
	default:
		return "", nil, fmt.Errorf("--tun-type %.20q: want ipip or gue, which lbctl has", kind)
	}
}
