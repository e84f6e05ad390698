package nic

import "lbctl/rss"

// linuxCloud are drivers of the virtual NICs of clouds.
func linuxCloud() []Profile {
	return []Profile{
		{
			Name: "ena", Driver: "Linux ena: AWS, instances from the 5th network-accelerated generation on (c5n, c6gn, m6i ...)",
			KeyLength: 40, KeySource: hostKey, KeyReversed: true,
			Tables: []TableSize{{Entries: 128}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses,
			Functions: []rss.Function{rss.FunctionToeplitz, rss.FunctionCRC32},
			Quirks:    Quirks{Initial: 0xffffffff}, DefaultQueue: DefaultQueue{FirstEntry: true},
			Notes: []string{
				"the hardware takes the key in reverse byte order, and this driver does not make up for it",
				"the hash begins with 0xffffffff; with drivers up to 2.5 it begins with 0 until the key is first set",
				"before Linux 5.8 the default function was CRC32; hash function and key can be read since 5.9",
			},
			Origin: []string{
				"amzn-ec2-ena-utilities ena-toeplitz/toeplitz_calc.py", "amzn-drivers issues 169, 353 (packets without a hash)",
				"linux drivers/net/ethernet/amazon/ena/ena_netdev.c (ena_rss_init_default)",
				"linux drivers/net/ethernet/amazon/ena/ena_com.c (ena_com_hash_key_fill_default_key)",
			},
			Verified: true,
		},
		{
			Name: "ena-gen4", Driver: "any driver of ENA: AWS, older instances, whose key cannot be changed",
			Key: swappedMicrosoft(), KeyLength: 40, KeySource: "in hardware: Microsoft's, its 32-bit words in reverse order; no driver shows or changes it",
			Tables: []TableSize{{Entries: 128}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses, Functions: toeplitz(),
			Quirks: Quirks{Initial: 0xffffffff, Sorted: true, LowHalfTwice: true}, DefaultQueue: DefaultQueue{FirstEntry: true},
			Notes: []string{
				"the smaller address and the smaller port are hashed first: both directions of a flow have one hash",
				"the hash has 16 bits, reported twice",
				"drivers report CRC32; it is not",
			},
			Origin: []string{"amzn-ec2-ena-utilities ena-toeplitz/toeplitz_calc.py", "amzn-drivers issues 109, 353"},
			Doubt:  "Amazon's calculator is for IPv4 with ports: IPv6 and other packets are assumed to be alike",
		},
		{
			Name: "gve", Driver: "Linux gve: Google Virtual NIC",
			KeyLength: 40, KeySource: "the device's, or " + hostKey,
			Tables: []TableSize{{Entries: 128}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses, Functions: toeplitz(),
			Notes: []string{"with the older queue format (GQI) the device may neither show nor take a key and table"},
			Origin: []string{
				"linux drivers/net/ethernet/google/gve/gve.h (GVE_RSS_KEY_SIZE, GVE_RSS_INDIR_SIZE)",
				"linux drivers/net/ethernet/google/gve/gve_main.c (gve_init_rss_config)",
			},
			Doubt: "the default key's source and the default fields were not read in the source",
		},
	}
}

// linuxHypervisors are drivers of the virtual NICs of hypervisors.
func linuxHypervisors() []Profile {
	return []Profile{
		{
			Name: "virtio-net", Driver: "Linux virtio_net on a device with VIRTIO_NET_F_RSS (QEMU: rss=on)",
			KeyLength: 40, KeySource: hostKey,
			Tables: []TableSize{{Entries: 128, When: "QEMU; a device says its own maximum"}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses, Functions: toeplitz(),
			Notes: []string{"hash types that the device has are all on; a fragment hashes on its addresses", "the device's unclassified queue, which the driver sets to 0, gets packets without a hash",
				"ethtool -K IFACE rxhash on makes the device report the hash (hash=on)"},
			Origin:   []string{"linux drivers/net/virtio_net.c (virtnet_init_default_rss)", "qemu include/hw/virtio/virtio-net.h (VIRTIO_NET_RSS_MAX_TABLE_LEN)"},
			Verified: true,
		},
		{
			Name: "hv_netvsc", Driver: "Linux hv_netvsc: Hyper-V and Azure",
			Key: rss.MicrosoftKey(), KeyLength: 40, KeySource: "netvsc_hash_key: Microsoft's, fixed",
			Tables: []TableSize{{Entries: 128}},
			TCP:    rss.FourTuple, UDP: rss.Addresses, IP: rss.Addresses, Functions: toeplitz(),
			Notes: []string{
				"the driver asks the host for IPv4, TCP over IPv4, IPv6, TCP over IPv6: no ports of UDP on receive",
				"what ethtool -n shows of UDP is about the choice of the send queue",
			},
			Origin: []string{"linux drivers/net/hyperv/rndis_filter.c (netvsc_hash_key, rndis_set_rss_param_msg)", "linux drivers/net/hyperv/netvsc_drv.c"},
			Doubt:  "newer hosts state another table size (rx_table_sz); the hash types were read in an older version of the driver only",
		},
		{
			Name: "mana", Driver: "Linux mana: Microsoft Azure Network Adapter",
			KeyLength: 40, KeySource: hostKey,
			Tables: []TableSize{{Entries: 64, When: "where the device states none"}, {Entries: 512, When: "the most a device states"}},
			TCP:    rss.FourTuple, UDP: rss.FourTuple, IP: rss.Addresses, Functions: toeplitz(),
			Notes:  []string{"the device states the table size, a power of two"},
			Origin: []string{"linux drivers/net/ethernet/microsoft/mana/mana_en.c (mana_probe_port, mana_query_vport_cfg)", "linux include/net/mana/mana.h"},
			Doubt:  "the driver does not name fields: 4-tuples of TCP and UDP are assumed",
		},
		{
			Name: "vmxnet3", Driver: "Linux vmxnet3: VMware",
			KeyLength: 40, KeySource: hostKey,
			Tables: []TableSize{{Entries: 128, When: "newer kernels: 4 for each of 32 queues"}, {Entries: 32, When: "older kernels: 4 for each of 8 queues"}},
			TCP:    rss.FourTuple, UDP: rss.Addresses, IP: rss.Addresses, Functions: toeplitz(),
			Notes: []string{"the key cannot be set or shown; the table can", "UDP and ESP can be hashed by their ports or SPI from version 4 on"},
			Origin: []string{
				"linux drivers/net/vmxnet3/vmxnet3_drv.c (vmxnet3_setup_driver_shared)",
				"linux drivers/net/vmxnet3/vmxnet3_int.h (VMXNET3_RSS_IND_TABLE_SIZE)",
				"linux drivers/net/vmxnet3/vmxnet3_ethtool.c (vmxnet3_set_rss)",
			},
			Verified: true,
		},
	}
}

// swappedMicrosoft is Microsoft's key with its 32-bit words in reverse order.
func swappedMicrosoft() rss.Key {
	key := rss.MicrosoftKey()
	swapped := make(rss.Key, 0, len(key))
	for i := len(key); i > 0; i -= 4 {
		swapped = append(swapped, key[i-4:i]...)
	}
	return swapped
}
