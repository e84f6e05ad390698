package main

// table is one of the tables: in each row the scenarios of the columns, "" where there is none.
type table struct {
	columns []string
	rows    []row
}

type row struct {
	packet    string
	scenarios []string
}

// tables are all tables. Names of scenarios are those of the benchmark.
func tables() []table { return []table{packets(), sizes()} }

// packets is the table of all kinds of packets. Most are to one service of four replicas by modulo.
func packets() table {
	one := func(packet string, names ...string) row {
		r := row{packet: packet}
		for _, name := range names {
			if name != "" {
				name = "1x4-modulo-" + name
			}
			r.scenarios = append(r.scenarios, name)
		}
		return r
	}
	return table{
		columns: []string{"1 service of 4 replicas, modulo", "one flow", "65,536 flows", "a million"},
		rows: []row{
			one("IPv4 TCP", "tcp-v4-hit", "tcp-v4-diverse", "tcp-v4-million"),
			one("... a SYN", "", "tcp-v4-syn", ""),
			one("... redirected to another interface", "tcp-v4-redirect", "", ""),
			one("... by a Toeplitz hash", "tcp-v4-toeplitz", "", ""),
			one("... with IPv4 options", "tcp-v4-options", "", ""),
			one("... mode `dsr`", "tcp-v4-dsr", "", ""),
			one("... mode `ipip`", "tcp-v4-ipip", "", ""),
			one("... mode `ipip`, `encapsulation: gue`", "tcp-v4-gue", "", ""),
			one("IPv6 TCP", "tcp-v6-hit", "tcp-v6-diverse", ""),
			one("... mode `ipip`", "tcp-v6-ipip", "", ""),
			one("... mode `ipip`, `encapsulation: gue`", "tcp-v6-gue", "", ""),
			one("UDP, no flow recorded", "udp-v4-untracked", "", ""),
			one("UDP, every flow recorded", "udp-v4", "udp-v4-diverse", ""),
			one("TCP, every flow recorded", "tcp-v4-always", "tcp-v4-always-diverse", "tcp-v4-always-million"),
			one("... a SYN", "", "tcp-v4-always-syn", ""),
			one("... mode `ipip`", "tcp-v4-always-ipip-hit", "tcp-v4-always-ipip-diverse", "tcp-v4-always-ipip-million"),
			one("... mode `ipip`, a SYN", "", "tcp-v4-always-ipip-syn", ""),
			{"slot in transition (8 replicas), recorded", []string{"1x8-modulo-tcp-v4-transition", "1x8-modulo-tcp-v4-transition-diverse", "1x8-modulo-tcp-v4-transition-million"}},
			{"... older than the change", []string{"1x8-modulo-tcp-v4-transition-miss", "1x8-modulo-tcp-v4-transition-miss-diverse", ""}},
			{"... a SYN", []string{"1x8-modulo-tcp-v4-transition-syn", "", "1x8-modulo-tcp-v4-transition-syn-flood"}},
			{"... IPv6, recorded", []string{"1x8-modulo-tcp-v6-transition", "", ""}},
			one("one source range", "tcp-v4-range", "", ""),
			one("1,000 source ranges", "tcp-v4-ranges", "tcp-v4-ranges-diverse", ""),
			one("... IPv6", "tcp-v6-ranges", "", ""),
			one("... from elsewhere: dropped", "tcp-v4-ranges-denied", "", ""),
			one("rates, not reached", "tcp-v4-rates", "tcp-v4-rates-diverse", ""),
			one("... reached", "tcp-v4-rates-low", "", ""),
			one("... SYNs, some beyond the rate of flows", "", "tcp-v4-rates-syn", ""),
			one("first fragment", "tcp-v4-fragment-first", "", ""),
			one("later fragment", "tcp-v4-fragment-later", "", ""),
			one("a reply, IPv4", "tcp-v4-return", "tcp-v4-return-diverse", ""),
			one("... to as many clients", "", "tcp-v4-return-clients", ""),
			one("a reply, IPv6", "tcp-v6-return", "", ""),
			{"a reply (1 replica), every flow recorded", []string{"1x1-modulo-tcp-v4-return-recorded", "1x1-modulo-tcp-v4-return-recorded-diverse", ""}},
			{"... IPv6", []string{"1x1-modulo-tcp-v6-return-recorded", "", ""}},
			one("not for a service", "pass-no-vip", "", ""),
			one("to another port of a VIP", "pass-vip-other-port", "", ""),
			one("not IP", "pass-non-ip", "", ""),
		},
	}
}

// sizes is the table of sites: services x replicas, and the scheduler.
func sizes() table {
	at := []string{"512x100-modulo-", "512x100-maglev-", "10000x10-modulo-", "10000x10-maglev-"}
	t := table{columns: []string{"services x replicas, scheduler", "1 x 100, maglev", "512 x 100, modulo", "512 x 100, maglev", "10,000 x 10, modulo", "10,000 x 10, maglev"}}
	for _, r := range []struct{ packet, one, name string }{
		{"IPv4 TCP, one flow to each service", "1x100-maglev-tcp-v4-hit", "tcp-v4-hit"},
		{"... 65,536 flows", "1x100-maglev-tcp-v4-diverse", "tcp-v4-diverse"},
		{"... a million flows", "", "tcp-v4-million"},
		{"... 65,536 SYNs", "", "tcp-v4-syn"},
		{"mode `ipip`, 65,536 flows", "", "tcp-v4-ipip-diverse"},
		{"... a million flows", "", "tcp-v4-ipip-million"},
		{"every flow recorded, 65,536 flows", "", "tcp-v4-always-diverse"},
	} {
		scenarios := []string{r.one}
		for _, size := range at {
			scenarios = append(scenarios, size+r.name)
		}
		t.rows = append(t.rows, row{r.packet, scenarios})
	}
	return t
}
