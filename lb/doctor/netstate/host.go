package netstate

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"lbctl/bpf/load"
	"lbctl/lb/doctor"
	"lbctl/lb/xdp"

	"golang.org/x/sys/unix"
)

// host describes the machine and the caller.
func host() doctor.Host {
	h := doctor.Host{Page: os.Getpagesize(), CPUs: runtime.NumCPU(), Missing: load.Missing()}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		h.Release = unix.ByteSliceToString(u.Release[:])
	}
	h.BPFFS = xdp.RequireBPFFS(xdp.Root) == nil
	h.OwnMounts = h.BPFFS && xdp.IsEphemeral(xdp.Root) || !h.BPFFS && xdp.PrivateMounts()
	return h
}

// parameters are the leaves that are read of every interface, by family.
func parameters() map[string][]string {
	return map[string][]string{
		"ipv4": {"forwarding", "rp_filter", "accept_local", "arp_ignore", "arp_announce"},
		"ipv6": {"forwarding", "disable_ipv6", "accept_ra"},
	}
}

// sysctls reads the kernel parameters that the checks judge. One that is not there, or is no number, is left out.
func sysctls(f doctor.Facts) doctor.Sysctls {
	names := []string{"all"}
	for _, i := range f.Interfaces {
		names = append(names, i.Name)
	}
	for _, t := range f.Tunnels {
		names = append(names, t.Name)
	}
	keys := []string{"net/core/bpf_jit_enable", "net/ipv4/ip_forward"}
	for family, leaves := range parameters() {
		for _, leaf := range leaves {
			for _, name := range names {
				keys = append(keys, doctor.Conf(family, name, leaf))
			}
		}
	}
	return readAll(keys)
}

func readAll(keys []string) doctor.Sysctls {
	all := doctor.Sysctls{}
	for _, key := range keys {
		text, err := os.ReadFile(filepath.Join("/proc/sys", key))
		if err != nil {
			continue
		}
		if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			all[key] = n
		}
	}
	return all
}
