package netstate

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"lbctl/lb/doctor"
)

// host looks at the machine and at the caller.
func host() doctor.Host {
	h := doctor.Host{Page: os.Getpagesize(), CPUs: runtime.NumCPU(), Missing: missing()}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		h.Release = unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Statfs_t
	h.BPFFS = unix.Statfs("/sys/fs/bpf", &s) == nil && s.Type == unix.BPF_FS_MAGIC
	own, err := os.Readlink("/proc/self/ns/mnt")
	first, err1 := os.Readlink("/proc/1/ns/mnt") // denied to others than root
	h.OwnMounts = err == nil && err1 == nil && own != first
	return h
}

// missing returns the capabilities that the balancer needs and the calling thread does not have in effect.
// CAP_SYS_ADMIN is CAP_BPF and CAP_PERFMON, too (capabilities(7)).
func missing() []string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	var lacking []string
	for _, c := range []struct {
		name   string
		number int
		admin  bool // whether CAP_SYS_ADMIN is as good
	}{{"CAP_BPF", unix.CAP_BPF, true}, {"CAP_PERFMON", unix.CAP_PERFMON, true}, {"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, false}} {
		if !has(c.number) && !(c.admin && has(unix.CAP_SYS_ADMIN)) {
			lacking = append(lacking, c.name)
		}
	}
	return lacking
}
