package nic

import (
	"lbctl/rss"
)

// hostKey is the KeySource of drivers that take the kernel's key.
const hostKey = "netdev_rss_key_fill: random at boot, the same for all such NICs of a host, in /proc/sys/net/core/netdev_rss_key"

func toeplitz() []rss.Function { return []rss.Function{rss.FunctionToeplitz} }

// linuxIntel are the drivers of up to 10 Gb/s in drivers/net/ethernet/intel of the kernel.
func linuxIntel() []Profile {
	return []Profile{
		{
			Name: "ixgbe", Driver: "Linux ixgbe: Intel 82598, 82599, X540, X550",
			KeyLength: 40, KeySource: hostKey,
			Tables: []TableSize{
				{Entries: 128, When: "82598, 82599, X540"},
				{Entries: 512, When: "X550 without SR-IOV"},
				{Entries: 64, When: "X550 with SR-IOV"},
			},
			TCP: rss.FourTuple, UDP: rss.Addresses, SCTP: rss.Addresses, IP: rss.Addresses, Functions: toeplitz(),
			Notes: []string{"ports of UDP are off by default: ethtool -N IFACE rx-flow-hash udp4 sdfn"},
			Origin: []string{
				"linux drivers/net/ethernet/intel/ixgbe/ixgbe_main.c (ixgbe_init_rss_key, ixgbe_rss_indir_tbl_entries, ixgbe_setup_mrqc)",
				"linux drivers/net/ethernet/intel/ixgbe/ixgbe_ethtool.c (ixgbe_get_rss_hash_opts)",
			},
			Verified: true,
		},
		{
			Name: "igb", Driver: "Linux igb: Intel 82575, 82576, 82580, I350, I210",
			KeyLength: 40, KeySource: hostKey, Tables: []TableSize{{Entries: 128}}, Blocks: true,
			TCP: rss.FourTuple, UDP: rss.Addresses, SCTP: rss.Addresses, IP: rss.Addresses, Functions: toeplitz(),
			Notes: []string{"the default table is in blocks, not in turn; older kernels neither show nor take a key"},
			Origin: []string{
				"linux drivers/net/ethernet/intel/igb/igb_main.c (igb_setup_mrqc)",
				"linux drivers/net/ethernet/intel/igb/igb.h (IGB_RETA_SIZE)",
			},
			Doubt: "the default fields were not read in the source: those of ixgbe are assumed",
		},
		{
			Name: "igc", Driver: "Linux igc: Intel I225, I226",
			KeyLength: 40, KeySource: hostKey, Tables: []TableSize{{Entries: 128}}, Blocks: true,
			TCP: rss.FourTuple, UDP: rss.Addresses, SCTP: rss.Addresses, IP: rss.Addresses, Functions: toeplitz(),
			Notes:  []string{"the default table is in blocks, not in turn; older kernels neither show nor take a key"},
			Origin: []string{"linux drivers/net/ethernet/intel/igc/igc_main.c (igc_setup_mrqc)"},
			Doubt:  "the default fields and the size of the table were not read in the source: those of igb are assumed",
		},
	}
}

// linuxIntelFast are the drivers of 40 Gb/s and more.
func linuxIntelFast() []Profile {
	return []Profile{
		{
			Name: "i40e", Driver: "Linux i40e: Intel 700 series (X710, XL710, X722)",
			KeyLength: 52, KeySource: hostKey,
			Tables: []TableSize{{Entries: 512, When: "physical function"}, {Entries: 64, When: "virtual function"}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, SCTP: rss.FourTuple, IP: rss.Addresses,
			Functions: []rss.Function{rss.FunctionToeplitz, rss.FunctionXOR},
			Notes:     []string{"the key is 52 bytes: the first 40 decide for 4-tuples", "what is not IP is hashed too (L2_PAYLOAD): which bytes, is not modelled"},
			Origin: []string{
				"linux drivers/net/ethernet/intel/i40e/i40e_main.c (i40e_pf_config_rss)",
				"linux drivers/net/ethernet/intel/i40e/i40e.h (I40E_HKEY_ARRAY_SIZE, I40E_HLUT_ARRAY_SIZE)",
				"linux drivers/net/ethernet/intel/i40e/i40e_txrx.h (I40E_DEFAULT_RSS_HASHCFG)",
			},
			Doubt: "that SCTP is hashed with its ports, and with the verification tag left out, was not read in the source",
		},
		{
			Name: "iavf", Driver: "Linux iavf: virtual functions of Intel 700 and 800 series",
			KeyLength: 52, KeySource: hostKey, Tables: []TableSize{{Entries: 64}},
			TCP: rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses, Functions: toeplitz(),
			Notes: []string{"lengths of key and table come from the physical function: these are the common ones"},
			Origin: []string{
				"linux drivers/net/ethernet/intel/iavf/iavf_main.c (iavf_init_rss)",
				"linux drivers/net/ethernet/intel/iavf/iavf.h (IAVF_HKEY_ARRAY_SIZE, IAVF_HLUT_ARRAY_SIZE)",
			},
			Doubt: "the default fields are the physical function's to choose: those of i40e are assumed",
		},
		{
			Name: "ice", Driver: "Linux ice: Intel 800 series (E810, E82x, E830)",
			KeyLength: 52, KeySource: hostKey,
			Tables: []TableSize{{Entries: 2048, When: "physical function"}, {Entries: 512, When: "global table"}, {Entries: 64, When: "virtual function"}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses, Functions: toeplitz(),
			Transforms: []rss.Transform{rss.SymmetricXOR},
			Notes:      []string{"GTP-U, ESP and L2TP are hashed by what the loaded DDP package knows"},
			Origin: []string{
				"linux drivers/net/ethernet/intel/ice/ice_lib.c (ice_vsi_cfg_rss_lut_key)",
				"linux drivers/net/ethernet/intel/ice/ice_adminq_cmd.h (enum ice_lut_size)",
			},
			Doubt: "the default fields were not read in the source: 4-tuples of TCP and UDP are assumed",
		},
	}
}

// linuxOthers are further drivers of the kernel.
func linuxOthers() []Profile {
	return []Profile{
		{
			Name: "mlx5", Driver: "Linux mlx5: NVIDIA (Mellanox) ConnectX-4 and later, BlueField",
			KeyLength: 40, KeySource: hostKey,
			Tables: []TableSize{
				{Entries: 256, PerQueue: 2, PowerOfTwo: true, When: "newer kernels, up to the device's limit"},
				{Entries: 128, When: "older kernels"},
			},
			TCP: rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses,
			Functions:  []rss.Function{rss.FunctionToeplitz, rss.FunctionXOR},
			Transforms: []rss.Transform{rss.SymmetricOrXOR},
			Notes: []string{
				"xor is an inverted exclusive or of bytes (XOR8), 8 bits: it is refused with tables above 256 entries",
				"older kernels had xor as the default function, and set rx_hash_symmetric with Toeplitz",
				"GRE and IP in IP are hashed on what they carry where the device has inner flow tables",
			},
			Origin: []string{
				"linux drivers/net/ethernet/mellanox/mlx5/core/en/rqt.c (mlx5e_rqt_size)", "linux drivers/net/ethernet/mellanox/mlx5/core/en/rqt.h",
				"linux drivers/net/ethernet/mellanox/mlx5/core/en_ethtool.c (supported_input_xfrm)",
				"linux drivers/net/ethernet/mellanox/mlx5/core/en_main.c (toeplitz_hash_key)",
			},
			Doubt: "the default fields were not read in the source; later kernels may take 4 entries a queue",
		},
		{
			Name: "bnxt", Driver: "Linux bnxt_en: Broadcom NetXtreme-C/E",
			KeyLength: 40, KeySource: "get_random_bytes: random for each NIC at each load of the driver",
			Tables: []TableSize{{Entries: 128, When: "chips before P5"}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses, Functions: toeplitz(),
			Notes: []string{"ports of UDP are hashed from chip P4 on; before, or with old firmware, the addresses alone",
				"IPv6 flow labels can be hashed in place of ports (sdl) where the firmware can"},
			Origin: []string{"linux drivers/net/ethernet/broadcom/bnxt/bnxt.c (bnxt_init_vnics, bnxt_set_dflt_rss_hash_type)", "linux drivers/net/ethernet/broadcom/bnxt/bnxt_ethtool.c"},
			Doubt:  "the size of the table was not read in the source; from chip P5 on it grows with the queues",
		},
		{
			Name: "hns3", Driver: "Linux hns3: HiSilicon HIP08 and later",
			Key: rss.MicrosoftKey(), KeyLength: 40, KeySource: "hclge_comm_hash_key: Microsoft's, fixed",
			Tables: []TableSize{{Entries: 512, When: "unless the firmware states another"}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, SCTP: rss.FourTuple, IP: rss.Addresses,
			Functions: []rss.Function{rss.FunctionXOR, rss.FunctionToeplitz},
			Notes: []string{
				"from version 2 of the device on the default function is simple (xor), not toeplitz",
				"SCTP is hashed with its verification tag; over IPv6 up to version 2 without ports",
			},
			Origin: []string{
				"linux drivers/net/ethernet/hisilicon/hns3/hns3_common/hclge_comm_rss.c (hclge_comm_rss_init_cfg, hclge_comm_init_rss_tuple)",
				"linux drivers/net/ethernet/hisilicon/hns3/hns3pf/hclge_main.h (HCLGE_RSS_IND_TBL_SIZE)",
			},
			Doubt: "what the simple function computes is not published: the exclusive or of 32-bit words is assumed",
		},
	}
}
