package peers

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"lbctl/rss/ethtool"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
)

// feature is a part of the kernel that a peer needs and that a kernel may be built without.
type feature struct {
	name string
	// options are those of the kernel's configuration that have it.
	options string
	// rules is a ruleset of nftables that needs the feature and nothing else; or family is one of generic netlink,
	// and question a command of it.
	rules, family string
	question      uint8
}

// The features of all peers, measured or not. The kernel loads a module that has one when it is asked for it.
func natChains() feature {
	return feature{name: "NAT in nftables", options: "CONFIG_NFT_NAT", rules: `table ip ask { chain c { type nat hook prerouting priority dstnat; dnat to 192.0.2.1; }; }`}
}

func hashes() feature {
	return feature{name: "jhash in nftables", options: "CONFIG_NFT_HASH", rules: `table ip ask { chain c { jhash ip saddr mod 2 vmap { 0 : accept, 1 : drop }; }; }`}
}

func ingress() feature {
	return feature{name: "ingress hook in nftables", options: "CONFIG_NF_TABLES_NETDEV, CONFIG_NETFILTER_INGRESS", rules: `table netdev ask { chain c { type filter hook ingress device "lo" priority filter; }; }`}
}

func forwards() feature {
	return feature{name: "fwd in nftables", options: "CONFIG_NFT_FWD_NETDEV", rules: `table netdev ask { chain c { fwd ip to 192.0.2.1 device "lo"; }; }`}
}

func flowTables() feature {
	return feature{name: "flow table in nftables", options: "CONFIG_NF_FLOW_TABLE", rules: `table ip ask { flowtable f { hook ingress priority filter; devices = { lo }; }; }`}
}

func ipvs() feature {
	const getInfo = 15 // IPVS_CMD_GET_INFO of include/uapi/linux/ip_vs.h
	return feature{name: "IPVS", options: "CONFIG_IP_VS", family: "IPVS", question: getInfo}
}

// lacks asks the kernel and says why it does not have a feature; empty: it has it. It changes nothing in the
// namespace. nft is the path of that program, empty where it is not installed.
func (f feature) lacks(in *netns.Namespace, nft string) string {
	var err error
	switch {
	case f.family != "":
		err = in.Do(func() error { _, err := ethtool.Ask(f.family, f.question, nil); return err })
		if !errors.Is(err, unix.ENOENT) { // there is a family that answers, if only that the question is wrong
			return ""
		}
	case nft == "":
		return "nft is not installed, which asks the kernel for " + f.name
	default:
		err = helper.Run(in, "nft", nft, "--check", f.rules)
	}
	if err == nil {
		return ""
	}
	said := err.Error()
	if _, told, quoted := strings.Cut(said, "Error: "); quoted { // nft goes on with the rule
		said, _, _ = strings.Cut(told, "\n")
	}
	return fmt.Sprintf("the kernel has no %s (%s): %s", f.name, f.options, said)
}

// other is a load balancer that many use and that is never measured here.
type other struct {
	name string
	feature
}

func others() []other { return []other{{"ipvs", ipvs()}, {"nftables-flowtable", flowTables()}} }

// absent is why a load balancer is not here.
type absent struct{ name, why string }

// askKernel finds out which peers this kernel cannot have: those chosen are marked, the others listed.
func (b *bench) askKernel() error {
	in, err := b.run.Bed.Namespace("kernel")
	if err != nil {
		return err
	}
	nft, _ := where("nft") // also where no chosen peer is of nftables
	for _, p := range b.paths {
		for _, f := range p.features {
			if p.absent = f.lacks(in, nft); p.absent != "" {
				b.run.Log.Warn("the kernel cannot have a peer", "peer", p.name, "why", p.absent)
				break
			}
		}
	}
	for _, o := range others() {
		why := o.lacks(in, nft)
		if why == "" {
			why = "the kernel has it, but this benchmark cannot set it up"
		}
		b.absent = append(b.absent, absent{o.name, why})
	}
	return nil
}
