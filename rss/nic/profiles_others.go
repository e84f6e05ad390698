package nic

import "lbctl/rss"

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
