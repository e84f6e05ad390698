// Package api holds the wire types of the control API: what the server and its
// clients exchange as JSON, and what a configuration file says as YAML. They are not the
// domain types: every value may be wrong. control/wire turns them into valid ones.
//
// All types are plain values; fields that may be left out are described with their default.
package api

// Config is the whole intent: a configuration file, and the body of PUT /v1/config.
type Config struct {
	APIVersion string      `json:"apiVersion,omitempty" yaml:"apiVersion,omitempty" enum:"lbctl/v1" doc:"May be left out: lbctl/v1."`
	Kind       string      `json:"kind,omitempty" yaml:"kind,omitempty" enum:"LoadBalancer" doc:"May be left out: LoadBalancer."`
	Datapath   *Datapath   `json:"datapath,omitempty" yaml:"datapath,omitempty" required:"false" doc:"Fixed when the daemon starts. Left out: as it is."`
	Interfaces []Interface `json:"interfaces,omitzero" yaml:"interfaces,omitempty" required:"false" nullable:"false" maxItems:"1024" doc:"The interfaces to attach. Left out: as they are. An empty list detaches all."`
	Pools      []Pool      `json:"pools,omitempty" yaml:"pools,omitempty" required:"false" nullable:"false" maxItems:"65536" doc:"Replicas that services share: a service names a pool in its field pool. Pools that are not named are removed."`
	Services   []Service   `json:"services" yaml:"services" nullable:"false" maxItems:"65536" doc:"All services; those not named are removed."`
}

// Pool is replicas that are written once and used by many services.
type Pool struct {
	Name     string    `json:"name" yaml:"name" pattern:"^[a-z0-9-]{1,63}$" doc:"Unique among pools; 1 to 63 of a-z, 0-9 and the hyphen." example:"backends"`
	Replicas []Replica `json:"replicas,omitzero" yaml:"replicas" required:"false" nullable:"false" doc:"As those of a service, in order. The address may be without a port, which is that of the service then."`
}

// Datapath is what is fixed when the daemon starts.
type Datapath struct {
	ToeplitzKey  *string `json:"toeplitz_key,omitempty" yaml:"toeplitz_key,omitempty" doc:"The RSS key of hash toeplitz: hexadecimal digits, or a name such as ms. Default ms."`
	Limits       *Limits `json:"limits,omitempty" yaml:"limits,omitempty" required:"false" doc:"The capacities."`
	VIPNoService string  `json:"vip_no_service,omitempty" yaml:"vip_no_service,omitempty" enum:"drop,reject" doc:"What becomes of packets to the address of a VIP, but to a port or protocol of no service, if it is not an address of the host: drop, or reject (their senders get a TCP reset or an ICMP error, some thousands a second). Default drop."`
}

// Limits are the capacities of the datapath.
type Limits struct {
	Services *int64 `json:"services,omitempty" yaml:"services,omitempty" doc:"Number of services. Default 1024."`
	Replicas *int64 `json:"replicas,omitempty" yaml:"replicas,omitempty" doc:"Number of replicas over all services. Default 16384."`
	Slots    *int64 `json:"slots,omitempty" yaml:"slots,omitempty" doc:"Number of table slots over all services, 8 bytes each. Default 4194304."`
	Flows    *int64 `json:"flows,omitempty" yaml:"flows,omitempty" doc:"Number of flows that can be recorded, a power of two from 1024 to 67108864. Default 1048576."`

	SourceRanges *int64 `json:"source_ranges,omitempty" yaml:"source_ranges,omitempty" doc:"Number of source ranges over all services, 1 to 1048576, 64 bytes each. Default 16384."`
}

// Interface is an interface to attach.
type Interface struct {
	Name string `json:"name" yaml:"name" doc:"The kernel's name of the interface." example:"eth0"`
	Mode string `json:"mode,omitempty" yaml:"mode,omitempty" enum:"auto,native,generic" doc:"native, generic or auto. Default auto." example:"auto"`
}

// Service is a virtual IP address, port and protocol and the replicas behind it.
type Service struct {
	Name     string `json:"name" yaml:"name" pattern:"^[a-z0-9-]{1,63}$" doc:"Unique; 1 to 63 of a-z, 0-9 and the hyphen." example:"web"`
	VIP      string `json:"vip" yaml:"vip" doc:"Address and port." example:"192.0.2.1:80"`
	EndPort  *int64 `json:"end_port,omitempty" yaml:"end_port,omitempty" minimum:"2" maximum:"65535" doc:"The last port of a range, of which vip has the first. Only with dsr and ipip, in which the port stays; a replica's port is the first one. A port of the range that another service has as its vip is that one's. Default: the service has one port." example:"8099"`
	Protocol string `json:"protocol,omitempty" yaml:"protocol,omitempty" enum:"tcp,udp" doc:"tcp or udp. Default tcp."`
	Mode     string `json:"mode,omitempty" yaml:"mode,omitempty" enum:"nat,dsr,ipip" doc:"How a packet is brought to its replica: nat (address and port rewritten), dsr (MAC address rewritten) or ipip (put into another packet). Default nat."`

	Encapsulation string `json:"encapsulation,omitempty" yaml:"encapsulation,omitempty" enum:"ipip,gue,fou" doc:"What is around the packet in mode ipip: ipip (an IP header), or gue or fou (IP and UDP, whose source port differs by flow; on the wire the two are the same). Default ipip."`
	TunnelPort    *int64 `json:"tunnel_port,omitempty" yaml:"tunnel_port,omitempty" minimum:"1" maximum:"65535" doc:"The UDP port of gue or fou on the replicas. Default 6080 for gue; fou needs one."`
	TunnelSources string `json:"tunnel_sources,omitempty" yaml:"tunnel_sources,omitempty" doc:"In mode ipip, the source addresses of outer packets, of which the flow chooses one: a prefix that is routed to the balancer. Default the balancer's address towards the replica." example:"10.0.0.0/24"`

	SourceRanges []string   `json:"source_ranges,omitempty" yaml:"source_ranges,omitempty" nullable:"false" minItems:"1" doc:"The clients that the service is for, as prefixes; packets of others are dropped (source_denied). Those of the other address family are of no account. Default all." example:"[\"198.51.100.0/24\",\"2001:db8::/32\"]"`
	RateLimit    *RateLimit `json:"rate_limit,omitempty" yaml:"rate_limit,omitempty" required:"false" doc:"How much of the service goes to its replicas. Default: all of it."`

	Scheduler string       `json:"scheduler,omitempty" yaml:"scheduler,omitempty" enum:"modulo,maglev" doc:"modulo (hash mod number of active replicas) or maglev. Default modulo."`
	Hash      string       `json:"hash,omitempty" yaml:"hash,omitempty" enum:"jhash,toeplitz" doc:"jhash or toeplitz. Default jhash."`
	Seed      int64        `json:"seed,omitempty" yaml:"seed,omitempty" minimum:"0" maximum:"4294967295" doc:"The initial value of jhash, 0 to 4294967295. Default 0."`
	TableSize *int64       `json:"table_size,omitempty" yaml:"table_size,omitempty" doc:"Slots of a maglev table, a prime. Default: 100 for each replica at least, 1009 to 65537 by their number and weights; 65537 with tracking never."`
	Tracking  string       `json:"tracking,omitempty" yaml:"tracking,omitempty" enum:"never,changes,always" doc:"Which flows are recorded, so that they stay with their replica: never, changes (those in slots whose owner has changed; tcp only) or always. Default changes for tcp, always for udp."`
	Idle      Duration     `json:"idle,omitempty" yaml:"idle,omitempty" doc:"How long a flow may be silent and is still recorded, whole seconds from 8s to 24h. Default 10m for tcp, 2m for udp; not with tracking never." example:"90s"`
	Health    *HealthCheck `json:"health,omitempty" yaml:"health,omitempty" required:"false" doc:"How the replicas are checked. Left out: they are not, and count as healthy."`
	Pool      string       `json:"pool,omitempty" yaml:"pool,omitempty" pattern:"^[a-z0-9-]{1,63}$" doc:"The pool that the replicas are of, in place of replicas." example:"backends"`
	Replicas  []Replica    `json:"replicas,omitzero" yaml:"replicas,omitzero" required:"false" nullable:"false" doc:"In order: replica i of modulo is the i-th that is active. An empty list drops what is sent to the VIP. Left out with a pool; in a list of services, which shows how they are, those of the pool."`
}

// HealthCheck says how the health of a service's replicas is found out. A replica of which nothing is known yet counts as healthy.
type HealthCheck struct {
	Type     string   `json:"type" yaml:"type" enum:"tcp,http,https,udp,exec,passive" doc:"tcp (a connection is accepted), http and https (an answer with a status), udp (an answer to a datagram), exec (a command that exits with 0) or passive (nothing is asked: what passes the balancer says how a replica is)." example:"http"`
	Interval Duration `json:"interval,omitempty" yaml:"interval,omitempty" doc:"From one check of a replica to the next, 100ms to 1h. Default 2s." example:"2s"`
	Timeout  Duration `json:"timeout,omitempty" yaml:"timeout,omitempty" doc:"How long a check may take, 10ms to the interval. Default 1s, or the interval if that is shorter." example:"1s"`
	Rise     *int64   `json:"rise,omitempty" yaml:"rise,omitempty" minimum:"1" maximum:"100" doc:"How many good results in a row make an unhealthy replica healthy; more for one that has fallen several times lately. Default 2."`
	Fall     *int64   `json:"fall,omitempty" yaml:"fall,omitempty" minimum:"1" maximum:"100" doc:"How many bad results in a row make a healthy replica unhealthy. Default 3."`

	SlowStart Duration `json:"slow_start,omitempty" yaml:"slow_start,omitempty" doc:"How long a replica that becomes healthy again takes to come to its whole share of new flows: from a tenth on, in ten steps. 1s to 1h, with the scheduler maglev. New replicas and those that are active when the daemon starts have theirs at once. Default at once." example:"30s"`

	Port *int64 `json:"port,omitempty" yaml:"port,omitempty" minimum:"1" maximum:"65535" doc:"The port to ask; not with exec. Default that of the replica."`

	OnAllUnhealthy string `json:"on_all_unhealthy,omitempty" yaml:"on_all_unhealthy,omitempty" enum:"all,none" doc:"Where no active replica is healthy: all (health is disregarded, all get traffic) or none (packets are dropped as no_replica). Default all."`

	Path   string `json:"path,omitempty" yaml:"path,omitempty" doc:"http, https: what to get. Default /." example:"/healthz"`
	Status *int64 `json:"status,omitempty" yaml:"status,omitempty" minimum:"100" maximum:"599" doc:"http, https: the status that the answer has to have. Redirects are not followed. Default 200." example:"200"`

	Statuses []StatusRange `json:"statuses,omitempty" yaml:"statuses,omitempty" required:"false" nullable:"false" maxItems:"16" doc:"http, https: instead of status, those that the answer may have." example:"[\"200-299\",\"304\"]"`

	Body string `json:"body,omitempty" yaml:"body,omitempty" doc:"http, https: what the first 64 KiB of the answer's body have to contain. Default anything."`
	Host string `json:"host,omitempty" yaml:"host,omitempty" doc:"http, https: the header Host. Default the address that is asked." example:"www.example.com"`

	ServerName  string `json:"server_name,omitempty" yaml:"server_name,omitempty" doc:"https: the name that the server is asked for (SNI), and that its certificate has to be for. Default host, without its port."`
	Certificate string `json:"certificate,omitempty" yaml:"certificate,omitempty" enum:"verify,ignore" doc:"https: verify (by the system's authorities) or ignore. Default verify."`

	Send   string `json:"send,omitempty" yaml:"send,omitempty" doc:"udp: the datagram, as text, or hex: and hexadecimal digits." example:"hex:0001"`
	Expect string `json:"expect,omitempty" yaml:"expect,omitempty" doc:"udp: what the answer has to contain, written likewise. Default anything."`

	Command []string `json:"command,omitempty" yaml:"command,omitempty" required:"false" nullable:"false" maxItems:"64" doc:"exec: the path of a program and its arguments. It is run without a shell and without capabilities, as nobody if the daemon may change users; its environment is LBCTL_SERVICE, LBCTL_VIP, LBCTL_REPLICA and PATH. If it fails, the beginning of the first line that it prints is the reason, which viewers see and the log has: it should print no secret."`

	Passive *PassiveCheck `json:"passive,omitempty" yaml:"passive,omitempty" required:"false" doc:"What the service's own traffic says of its replicas, beside the check: tcp in mode nat, where answers pass the balancer. With type passive, its defaults if left out."`
}

// PassiveCheck says when answers of a replica make it unhealthy: it is ejected. It comes back by the check; with type passive, or
// where the check cannot be made, after a time.
type PassiveCheck struct {
	Counts   string   `json:"counts,omitempty" yaml:"counts,omitempty" enum:"refusals,resets" doc:"refusals (resets that answer a SYN: nobody listens) or resets (all: also those of connections that were accepted). Default refusals."`
	Percent  *int64   `json:"percent,omitempty" yaml:"percent,omitempty" minimum:"1" maximum:"100" doc:"How many of them, in percent of the new flows, eject. Default 50."`
	NewFlows *int64   `json:"new_flows,omitempty" yaml:"new_flows,omitempty" minimum:"1" maximum:"1000000" doc:"How many new flows are judged together, at least: fewer within the window say nothing. Default 20."`
	Window   Duration `json:"window,omitempty" yaml:"window,omitempty" doc:"Within what time they have to come, 1s to 1h. Default 10s." example:"10s"`
	Ejection Duration `json:"ejection,omitempty" yaml:"ejection,omitempty" doc:"How long an ejected replica stays so where no check brings it back, 1s to 1h; twice as long for each that follows within five minutes, up to 16 times. Default 30s." example:"30s"`

	MaxEjectedPercent *int64 `json:"max_ejected_percent,omitempty" yaml:"max_ejected_percent,omitempty" minimum:"1" maximum:"100" doc:"How much of the service's active replicas may be unhealthy for an ejection, the ejected one included: no more are ejected. Default 50: of two replicas one, of one none."`
}

// RateLimit is how much of a service goes to its replicas; what is more is dropped.
type RateLimit struct {
	PacketsPerSecond  *int64   `json:"packets_per_second,omitempty" yaml:"packets_per_second,omitempty" minimum:"1" maximum:"1000000000" doc:"All packets to the service, those above are dropped (rate_limited_packets). Default any number." example:"500000"`
	NewFlowsPerSecond *int64   `json:"new_flows_per_second,omitempty" yaml:"new_flows_per_second,omitempty" minimum:"1" maximum:"1000000" doc:"Flows that begin, those above are dropped (rate_limited_flows): with a SYN in tcp; in udp, with tracking always, with a packet of a flow that is not recorded. Default any number." example:"2000"`
	Burst             Duration `json:"burst,omitempty" yaml:"burst,omitempty" doc:"How long the service may save up, of both: so much of a second's it may have at once. Whole milliseconds from 1ms to 10s. Default 1s." example:"100ms"`
}

// Replica is one server behind a service.
type Replica struct {
	Address    string `json:"address" yaml:"address" doc:"Address and port; of a pool, the port may be left out." example:"10.1.0.1:8080"`
	Weight     *int64 `json:"weight,omitempty" yaml:"weight,omitempty" minimum:"1" maximum:"65535" doc:"Its share of a maglev table relative to the others, 1 to 65535. Default 1."`
	State      string `json:"state,omitempty" yaml:"state,omitempty" enum:"active,draining,down" doc:"active (gets new flows), draining (keeps those that it has) or down (gets nothing). Default active."`
	DrainUntil string `json:"drain_until,omitempty" yaml:"drain_until,omitempty" doc:"When a draining replica is set down, whatever flows it has: an RFC 3339 time in whole seconds. One that has passed sets it down at once. Default never." example:"2030-01-31T12:00:00Z"`
}

// StatusRange is a status of HTTP, or the first and the last of several: "304", "200-299".
type StatusRange string

// Duration is a time span with its unit: "90s", "10m", "1h30m".
type Duration string
