package nic

import (
	"slices"

	"lbctl/rss"
)

// chosen is a note on all drivers of DPDK.
const chosen = "the application chooses the fields (rss_conf.rss_hf): 4-tuples of TCP and UDP stand for its choice"

// dpdk completes the profile of a driver of DPDK.
func dpdk(p Profile) Profile {
	p.Name = "dpdk-" + p.Name
	p.KeyLength = max(p.KeyLength, len(p.Key))
	p.TCP, p.UDP, p.IP = rss.FourTuple, rss.FourTuple, rss.Addresses
	p.Functions = toeplitz()
	p.Notes = append(slices.Clone(p.Notes), chosen)
	p.Verified = p.Doubt == ""
	return p
}

// The KeySources of several drivers.
const (
	intelKey = "rss_intel_key: Microsoft's, fixed"
	mlxKey   = "fixed, that of mlx5"
)

// dpdkIntel are the drivers of DPDK for Intel NICs. The keys are used when the application gives none.
func dpdkIntel() []Profile {
	return []Profile{
		dpdk(Profile{
			Name: "e1000", Driver: "DPDK net_e1000_igb, net_e1000_em: Intel 82576, I350, 82574", Key: rss.MicrosoftKey(), KeySource: intelKey,
			Tables: []TableSize{{Entries: 128}},
			Origin: []string{"dpdk drivers/net/intel/e1000/igb_rxtx.c, em_rxtx.c (rss_intel_key)"},
			Doubt:  "the size of the table was not read in the source",
		}),
		dpdk(Profile{
			Name: "ixgbe", Driver: "DPDK net_ixgbe: Intel 82599, X540, X550", Key: rss.MicrosoftKey(), KeySource: intelKey,
			Tables: []TableSize{{Entries: 128}, {Entries: 512, When: "X550"}},
			Origin: []string{"dpdk drivers/net/intel/ixgbe/ixgbe_rxtx.c (rss_intel_key)"},
			Doubt:  "the size of the table was not read in the source: that of the Linux driver is assumed",
		}),
		dpdk(Profile{
			Name: "i40e", Driver: "DPDK net_i40e: Intel 700 series", Key: i40eKey(), KeySource: "rss_key_default: 13 words in the order of the processor, fixed",
			Tables: []TableSize{{Entries: 512}},
			Notes:  []string{"the bytes are those of a little-endian processor"},
			Origin: []string{"dpdk drivers/net/intel/i40e/i40e_hash.c (i40e_hash_parse_key)"},
			Doubt:  "the size of the table was not read in the source: that of the Linux driver is assumed",
		}),
		dpdk(Profile{
			Name: "ice", Driver: "DPDK net_ice: Intel 800 series", KeyLength: 52, KeySource: "rte_rand: random at each start of the application",
			Tables: []TableSize{{Entries: 2048}, {Entries: 512, When: "older firmware and packages"}},
			Origin: []string{"dpdk drivers/net/intel/ice/ice_ethdev.c (ice_get_default_rss_key)"},
			Doubt:  "the size of the table was not read in the source: that of the Linux driver is assumed",
		}),
	}
}

// dpdkOthers are the other drivers of DPDK.
func dpdkOthers() []Profile {
	return []Profile{
		dpdk(Profile{
			Name: "mlx5", Driver: "DPDK net_mlx5: NVIDIA (Mellanox) ConnectX-4 and later", Key: mellanoxKey(), KeySource: "rss_hash_default_key: fixed, also that of ConnectX-3",
			Tables: []TableSize{{Entries: 0, PerQueue: 1, PowerOfTwo: true}},
			Origin: []string{"dpdk drivers/net/mlx5/mlx5_rxq.c (rss_hash_default_key)"},
			Doubt:  "the size of the table was not read in the source",
		}),
		dpdk(Profile{
			Name: "mana", Driver: "DPDK net_mana: Microsoft Azure Network Adapter", Key: mellanoxKey(), KeySource: "mana_rss_hash_key_default: " + mlxKey,
			Tables: []TableSize{{Entries: 64}},
			Origin: []string{"dpdk drivers/net/mana/rx.c (mana_rss_hash_key_default)"},
			Doubt:  "the size of the table was not read in the source: that of the Linux driver is assumed",
		}),
		dpdk(Profile{
			Name: "netvsc", Driver: "DPDK net_netvsc: Hyper-V and Azure", Key: mellanoxKey(), KeySource: "rss_default_key: " + mlxKey + ", so that both ways of a packet agree",
			Tables: []TableSize{{Entries: 128}},
			Origin: []string{"dpdk drivers/net/netvsc/hn_ethdev.c (rss_default_key)"},
			Doubt:  "the size of the table was not read in the source: that of the Linux driver is assumed",
		}),
		dpdk(Profile{
			Name: "ena", Driver: "DPDK net_ena 2.4 and later: AWS, instances whose key can be changed", KeyLength: 40, KeySource: "rte_rand: random at each start of the application",
			Tables: []TableSize{{Entries: 128}},
			Notes: []string{
				"the driver reverses a given key for the hardware, and the hash begins with 0: the plain definition",
				"the random default key is not reversed and cannot be read back; drivers before 2.4 ignore a given key",
			},
			DefaultQueue: DefaultQueue{FirstEntry: true},
			Origin:       []string{"dpdk drivers/net/ena/ena_rss.c", "amzn-drivers issues 267, 353 (packets without a hash)"},
		}),
		dpdk(Profile{
			Name: "virtio", Driver: "DPDK net_virtio on a device with VIRTIO_NET_F_RSS", Key: rss.MicrosoftKey(), KeySource: intelKey,
			Tables: []TableSize{{Entries: 128}},
			Origin: []string{"dpdk drivers/net/virtio/virtio_ethdev.c (rss_intel_key)"},
			Doubt:  "the size of the table was not read in the source: that of QEMU is assumed",
		}),
		dpdk(Profile{
			Name: "vmxnet3", Driver: "DPDK net_vmxnet3: VMware", Key: rss.MicrosoftKey(), KeySource: intelKey,
			Tables: []TableSize{{PerQueue: 4}},
			Notes:  []string{"the table has 4 entries for each queue: no power of two when the number of queues is none"},
			Origin: []string{"dpdk drivers/net/vmxnet3/vmxnet3_rxtx.c (vmxnet3_rss_configure)"},
		}),
		dpdk(Profile{
			Name: "hns3", Driver: "DPDK net_hns3: HiSilicon HIP08 and later", Key: rss.MicrosoftKey(), KeySource: "hns3_hash_key: Microsoft's, fixed",
			Tables: []TableSize{{Entries: 512}},
			Origin: []string{"dpdk drivers/net/hns3/hns3_rss.c (hns3_hash_key)"},
			Doubt:  "the size of the table was not read in the source: that of the Linux driver is assumed",
		}),
	}
}

// mellanoxKey is rss_hash_default_key of dpdk drivers/net/mlx5/mlx5_rxq.c.
func mellanoxKey() rss.Key {
	return rss.Key{
		0x2c, 0xc6, 0x81, 0xd1, 0x5b, 0xdb, 0xf4, 0xf7, 0xfc, 0xa2, 0x83, 0x19, 0xdb, 0x1a, 0x3e, 0x94, 0x6b, 0x9e, 0x38, 0xd9,
		0x2c, 0x9c, 0x03, 0xd1, 0xad, 0x99, 0x44, 0xa7, 0xd9, 0x56, 0x3d, 0x59, 0x06, 0x3c, 0x25, 0xf3, 0xfc, 0x1f, 0xdc, 0x2a,
	}
}

// i40eKey is rss_key_default of dpdk drivers/net/intel/i40e/i40e_hash.c as a little-endian
// processor has it in memory.
func i40eKey() rss.Key {
	return rss.Key{
		0x44, 0x39, 0x79, 0x6b, 0xb5, 0x4c, 0x50, 0x23, 0xb6, 0x75, 0xea, 0x5b, 0x12, 0x4f, 0x9f, 0x30, 0xb8, 0xa2, 0xc0, 0x3d,
		0xdf, 0xdc, 0x4d, 0x02, 0xa0, 0x8c, 0x9b, 0x33, 0x4a, 0xf6, 0x4a, 0x4c, 0x05, 0xc6, 0xfa, 0x34, 0x39, 0x58, 0xd8, 0x55,
		0x7d, 0x99, 0x58, 0x3a, 0xe1, 0x38, 0xc9, 0x2e, 0x81, 0x15, 0x03, 0x66,
	}
}
