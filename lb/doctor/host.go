package doctor

import (
	"strings"

	"lbctl/bpf/load"
)

func judgeKernel(_ Facts, h Host) verdict {
	old, err := load.TooOld(h.Release)
	if err != nil {
		return bad(Unknown, "uname -r", "Linux %q", h.Release)
	}
	if old {
		return bad(Problem, "# boot Linux 6.1 or later", "Linux %s", h.Release)
	}
	return ok("Linux %s", h.Release)
}

func judgeBpffs(_ Facts, h Host) verdict {
	switch {
	case h.OwnMounts:
		return bad(Warning, "nsenter --net=/run/netns/NAME lbctl serve", "the mount namespace is not the machine's, as in ip netns exec")
	case !h.BPFFS:
		return bad(Warning, "mount -t bpf bpffs /sys/fs/bpf", "no BPF file system at /sys/fs/bpf")
	}
	return ok("mounted at /sys/fs/bpf")
}

// jitKey is in the machine's first network namespace only.
const jitKey = "net/core/bpf_jit_enable"

func judgeJit(f Facts, _ Host) verdict {
	switch on, known := f.Sysctl[jitKey]; {
	case !known:
		return bad(Unknown, "nsenter --net=/proc/1/ns/net sysctl "+dotted(jitKey), "not visible in this network namespace")
	case on == 0:
		return bad(Warning, set(1, jitKey), "off")
	}
	return ok("on")
}

func judgeCapabilities(f Facts, h Host) verdict {
	if len(h.Missing) > 0 && f.Daemon == NoDaemon {
		return bad(Warning, "sudo lbctl serve", "this user lacks %s", strings.Join(h.Missing, " and "))
	}
	return ok("those that are needed")
}

func judgeServices(f Facts, _ Host) verdict {
	const cure = "lbctl doctor IFACE --vip ADDRESS --replica ADDRESS --mode MODE"
	switch {
	case f.servicesKnown():
		return ok("VIPs: %d, replicas: %d", len(f.VIPs), len(f.Replicas))
	case f.Daemon == DaemonDenied:
		return bad(Unknown, "sudo lbctl doctor IFACE", "the daemon's socket is denied to this user")
	case f.Daemon == DaemonAnswers:
		return bad(Unknown, cure, "the daemon has no services")
	}
	return bad(Unknown, cure, "no daemon answers, and neither --vip nor --replica is given")
}
