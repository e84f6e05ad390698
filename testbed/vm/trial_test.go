package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/testbed/netns"
	"lbctl/testbed/vm/line"
)

// tested are the packages whose tests run in the guests; the last has the first process.
var tested = []string{"bpf", "cmd/balance", "lb/checkpath", "lb/datapath", "lb/decap", "lb/tables", "testbed/vm"}

// oldest and newer are kernels that lbctl promises to run on, as Debian 12 has them: the oldest that is not refused, and
// that of the next release.
const (
	oldest = "linux-image-cloud-amd64"
	newer  = "linux-image-6.12-cloud-amd64"
)

// kernelOf says how the names of a package's kernels begin.
var kernelOf = map[string]string{oldest: "linux-image-6.1.", newer: "linux-image-6.12."}

// check is some tests of a package: a pattern, and those that it must run.
type check struct {
	program, pattern string
	tests            []string
}

func tests(program string, names ...string) check {
	return check{program, "^(" + strings.Join(names, "|") + ")$", names}
}

func subtests(program, test string, names ...string) check {
	c := tests(program, names...)
	c.pattern = "^" + test + "$/" + c.pattern
	for i, name := range names {
		c.tests[i] = test + "/" + name
	}
	return c
}

// quick is what the guests of every run check: each program loads within the bound of verified instructions, is attached
// in mode native and generic, and is taken over by the next process; and checks of replicas go where clients' packets do.
func quick() []check {
	return []check{
		tests("bpf", "TestVerifiedInstructions"),
		tests("datapath", "TestAdopt", "TestAttachLargeMTU", "TestMigrateFormer"),
		tests("decap", "TestLife"),
		subtests("checkpath", "TestChecksGoWhereClientsDo", "dsr4", "gue6in6", "4in6"),
		subtests("checkpath", "TestStackedInterfaces", "VLAN", "VRF"),
		tests("checkpath", "TestNothingIsLeft"),
	}
}

// byKernel is that a replica's kernel takes off what the balancer puts around packets, with the modules tunnels.
func byKernel() check { return tests("balance", "TestModesByKernel") }

func tunnels() []string { return []string{"fou", "ipip", "ip6_tunnel"} }

// hooks are the modules of a switch, and of filters, by which checks are sent before Linux 6.6.
func hooks() []string { return []string{"bridge", "8021q", "vrf", "sch_ingress", "cls_bpf"} }

// On each kernel the programs load, are attached and are adopted. The oldest is booted with nohz_full, where membarrier
// waits for no packets, and with the modules by which a replica decapsulates.
func TestKernels(t *testing.T) {
	programs := build(t)
	t.Run("oldest", func(t *testing.T) {
		t.Parallel()
		grace := tests("tables", "TestWaitsForPackets", "TestMembarrierWaits")
		try(t, programs, Trial{Config: Config{Kernel: oldest, Modules: append(tunnels(), hooks()...)}, CPUs: 2, Parameters: "nohz_full=1"}, append(quick(), grace, byKernel()))
	})
	t.Run("newer", func(t *testing.T) {
		t.Parallel()
		try(t, programs, Trial{Config: Config{Kernel: newer, Modules: hooks()}, CPUs: 1}, quick())
	})
}

// The long form, of deploy/nightly: 20,000 packets through the kernel's program and the reference, and the parts of
// the contract that open few datapaths, each of which takes seconds to load in a guest.
func TestKernelsAtLength(t *testing.T) {
	if os.Getenv("LBCTL_KERNELS") != "long" {
		t.Skip("takes many minutes: set LBCTL_KERNELS=long, as deploy/nightly does")
	}
	programs := build(t)
	checks := []check{
		tests("datapath", "TestDifferential"),
		subtests("datapath", "TestContract", "interfaces", "records", "tracking", "monitor", "close"),
		tests("decap", "TestDifferential"), tests("checkpath", "TestFramesAreThoseOfClients", "TestVIPOfThisHost", "TestClosedPort"), byKernel(),
	}
	for _, kernel := range []string{oldest, newer} {
		t.Run(kernel, func(t *testing.T) {
			t.Parallel()
			try(t, programs, Trial{Config: Config{Kernel: kernel, Modules: append(tunnels(), hooks()...)}, CPUs: 1}, checks)
		})
	}
}

// build compiles the tests as static programs, and adds ip to them.
func build(t *testing.T) (programs []string) {
	t.Helper()
	need.Root(t)
	need.Programs(t, "ip")
	ip, err := exec.LookPath("ip")
	if err != nil {
		t.Fatal(err)
	}
	programs = append(programs, ip)
	folder := t.TempDir()
	args := []string{"test", "-c", "-ldflags", "-s -w", "-o", folder + "/"}
	for _, p := range tested {
		args = append(args, "lbctl/"+p)
		programs = append(programs, filepath.Join(folder, filepath.Base(p)+".test"))
	}
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build the tests: %v\n%s", err, out)
	}
	return programs
}

// try runs tests in a guest: every one of them must pass.
func try(t *testing.T, programs []string, trial Trial, checks []check) {
	t.Helper()
	run, err := netns.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	c := config(t)
	c.Cache, c.Install, c.Kernel, c.Modules, c.Program = "", true, trial.Kernel, trial.Modules, programs[len(programs)-1]
	if c.Namespace, err = run.Make("vm"); err != nil {
		t.Fatal(err)
	}
	trial.Config, trial.Programs = c, programs[:len(programs)-1]
	trial.Parameters += " LBCTL_GUEST=1 LBCTL_MUST=root PATH=/"
	for _, c := range checks {
		trial.Commands = append(trial.Commands, line.Command{"/" + c.program + ".test", "-test.v", "-test.run", c.pattern})
	}
	all, kernel, err := trial.Run(t.Context())
	if errors.Is(err, ErrMissing) {
		need.QEMU(t, err)
	}
	for i, ran := range all {
		checks[i].judge(t, ran)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Log("kernel:", kernel)
	if want := kernelOf[c.Kernel]; !strings.HasPrefix(kernel, want) {
		need.QEMU(t, fmt.Errorf("%s is %s here, want %s", c.Kernel, kernel, want))
	}
}

// judge reports the tests that did not pass, and the figures of those that did.
func (c check) judge(t *testing.T, ran line.Ran) {
	t.Helper()
	bad := ran.Failed != ""
	for _, test := range c.tests {
		if !strings.Contains(ran.Output, "--- PASS: "+test+" (") {
			t.Errorf("%s: %s did not pass", c.program, test)
			bad = true
		}
	}
	if bad {
		t.Errorf("%s %s: %s\n%s", c.program, c.pattern, ran.Failed, ran.Output)
		return
	}
	for line := range strings.Lines(ran.Output) {
		if strings.Contains(line, "instructions verified") || strings.Contains(line, "--- PASS") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
