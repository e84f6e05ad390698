package doctor

import "testing"

func TestHost(t *testing.T) {
	try(t, healthy, []aCase{
		{"old kernel", func(f *Facts) { f.Host.Release = "5.14.0-503.el9" }, []string{
			"problem host kernel: Linux 5.14.0-503.el9 | # boot Linux 5.15 or later",
		}},
		{"very old kernel", func(f *Facts) { f.Host.Release = "4.19.0" }, []string{
			"problem host kernel: Linux 4.19.0 | # boot Linux 5.15 or later",
		}},
		{"oldest kernel", func(f *Facts) { f.Host.Release = "5.15.1" }, []string{"ok host kernel: Linux 5.15.1"}},
		{"odd kernel", func(f *Facts) { f.Host.Release = "mine" }, []string{`unknown host kernel: Linux "mine" | uname -r`}},
		{"no bpffs", func(f *Facts) { f.Host.BPFFS = false }, []string{
			"warning host bpffs: no BPF file system at /sys/fs/bpf | mount -t bpf bpffs /sys/fs/bpf",
		}},
		{"own mounts", func(f *Facts) { f.Host.OwnMounts = true }, []string{
			"warning host bpffs: the mount namespace is not the machine's, as in ip netns exec | nsenter --net=/run/netns/NAME lbctl serve",
		}},
		{"no jit", func(f *Facts) { f.Sysctl[jitKey] = 0 }, []string{"warning host jit: off | sysctl -w net.core.bpf_jit_enable=1"}},
		{"jit unknown", func(f *Facts) { delete(f.Sysctl, jitKey) }, []string{
			"unknown host jit: not visible in this network namespace | nsenter --net=/proc/1/ns/net sysctl net.core.bpf_jit_enable",
		}},
		{"no capabilities", func(f *Facts) { f.Host.Missing = []string{"CAP_BPF", "CAP_NET_ADMIN"} }, []string{
			"warning host capabilities: this user lacks CAP_BPF and CAP_NET_ADMIN | sudo lbctl serve",
		}},
		{"no capabilities, and none needed", func(f *Facts) { f.Host.Missing, f.Daemon = []string{"CAP_BPF"}, DaemonAnswers }, nil},
	})
}

func TestServices(t *testing.T) {
	const flags = " | lbctl doctor IFACE --vip ADDRESS --replica ADDRESS --mode MODE"
	none := func() Facts { f := healthy(); f.VIPs, f.Replicas = nil, nil; return f }
	try(t, healthy, []aCase{
		{"no daemon, no flags", func(f *Facts) { *f = none() }, []string{
			"unknown host services: no daemon answers, and neither --vip nor --replica is given" + flags,
		}},
	})
	try(t, none, []aCase{
		{"denied", func(f *Facts) { f.Daemon = DaemonDenied }, []string{
			"unknown host services: the daemon's socket is denied to this user | sudo lbctl doctor IFACE",
		}},
		{"empty", func(f *Facts) { f.Daemon = DaemonAnswers }, []string{"unknown host services: the daemon has no services" + flags}},
	})
}
