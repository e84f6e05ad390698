// Package nicoracle is the experiment nic-oracle: the model of a NIC in rss/nic against another
// implementation of RSS, QEMU's virtio-net under a real driver. Packets of nine kinds are
// sent into a guest under several keys, tables, numbers of queues and hash fields; of every
// single one the queue and the hash must be those that the model names. The model is
// given nothing but what the guest's driver says of its NIC, as lbctl rss verify does it.
package nicoracle
