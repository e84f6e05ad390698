package verify

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
	"lbctl/cmd/cli"
	"lbctl/cmd/nic/nictest"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/observe"
	"lbctl/rss/packet"
	"lbctl/rss/setup"
	"lbctl/rss/verify"
)

func TestMain(m *testing.M) { nictest.Main(m) }

// datagrams sends UDP flows over the loopback until the test ends, in a new network namespace without other
// traffic.
func datagrams(t *testing.T) {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal("unshare network namespace:", err)
	}
	up(t, "lo")
	loopback := func(port int) *net.UDPAddr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }
	var conns []*net.UDPConn
	for port := 40000; port < 40008; port++ {
		c, err := net.DialUDP("udp4", loopback(port), loopback(9))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		conns = append(conns, c)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		for {
			for _, c := range conns {
				_, _ = c.Write([]byte("x")) // nobody listens: every other one is an error
			}
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
}

func up(t *testing.T, name string) {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		t.Fatal(err)
	}
}

// The loopback has one queue: a model of one agrees, one of four does not.
func TestRSSVerify(t *testing.T) {
	datagrams(t)
	w := nictest.New(t, Command)
	for queues, want := range map[string]struct {
		code    int
		verdict verify.Verdict
	}{
		"1": {cli.ExitDone, verify.Agrees}, "4": {cli.ExitFailed, verify.Disagrees},
	} {
		code, stdout, stderr := w.Run("rss", "verify", "lo", "--packets", "100", "--for", "20s", "-o", "json", "--queues", queues)
		var got answer
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatalf("%s queues: exit %d, %s: %v", queues, code, stderr, err)
		}
		// Two notes: that there is no RSS, and that native XDP was refused.
		if code != want.code || got.Verdict != want.verdict || got.Packets < 100 || got.Mode != observe.Generic || len(got.Notes) < 2 {
			t.Errorf("%s queues: exit %d, %s, %+v", queues, code, stderr, got)
		}
	}
}

// The text of each verdict.
func TestRSSVerifyReport(t *testing.T) {
	config, err := nic.Default(4)
	if err != nil {
		t.Fatal(err)
	}
	n, err := nic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	flow := packet.Flow{
		Source: netip.MustParseAddrPort("66.9.149.187:2794"), Destination: netip.MustParseAddrPort("161.142.100.80:1766"), Protocol: packet.TCP,
	}
	v, err := verify.New(n)
	if err != nil {
		t.Fatal(err)
	}
	v.Add(verify.Observation{Flow: flow, Queue: 0, Hash: 0x51ccc178, Hashed: true, Packets: 999, CPUs: []int{2, 3}})
	v.Add(verify.Observation{Flow: flow, Queue: 3, Packets: 1, CPUs: []int{0}})
	answer := answer{
		Interface: "eth0", Driver: "mlx5_core", Receivers: 4, Mode: observe.Native, Seconds: 1, Model: describeModel(config, []string{"key"}),
		Lost: 7, Notes: []string{"a note"}, Report: v.Report(),
	}
	var out strings.Builder
	a := &cli.App{Environment: cli.Environment{Stdout: &out}}
	if err := a.Print(cli.FormatTable, answer, answer.show); err != nil {
		t.Fatal(err)
	}
	want := `eth0 (mlx5_core), 4 queues, observed in the driver (native XDP) for 1.0 s
model: toeplitz, table of 128 over 4 queues, key 6d:5a:56:da:25:5b:0e:c2:...
       of which by flags: key
note: a note

CLASS  PACKETS  QUEUE    HASH
tcp4   1000     99.90 %  100 %
all    1000     99.90 %  100 %

QUEUE  PACKETS  EXPECTED  CPUS
0      999      1000      2 3
3      1        0         0

DISAGREES  PACKETS  QUEUE  WANT  HASH  WANT        FIELDS  FLOW
tcp4       1        3      0     -     0x51ccc178  sdfn    tcp 66.9.149.187:2794 > 161.142.100.80:1766

1 of 1000 packets came on another queue than the model predicts
the NIC's hash equals the model's: the indirection table differs, or a flow rule, aRFS or RPS moved the packets
1 of 1 flows came on more than one queue
7 packets came too fast to be compared
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for verdict, code := range map[verify.Verdict]int{verify.Agrees: cli.ExitDone, verify.Disagrees: cli.ExitFailed, verify.Chance: cli.ExitFailed, verify.Nothing: cli.ExitFailed} {
		answer.Verdict = verdict
		if got, _ := classifyFailure(answer.failure()); got != code {
			t.Errorf("%s: exit %d, want %d", verdict, got, code)
		}
	}
}

// classifyFailure returns the exit code of an error.
func classifyFailure(err error) (int, string) {
	if err == nil {
		return cli.ExitDone, ""
	}
	f := err.(*cli.Failure)
	return f.Code, f.Do
}

func TestVerifyModel(t *testing.T) {
	large := 64
	for _, c := range []struct {
		name  string
		given setup.Setup
		check func(nic.Config) error
	}{
		{"the nic's own", setup.Setup{}, func(c nic.Config) error { return differ(len(c.Table), 8, c.UDP4, rss.Addresses) }},
		{"another key", setup.Setup{Key: "symmetric"}, func(c nic.Config) error { return differ(len(c.Table), 8, c.Key[2], 0x6d) }},
		{"more queues", setup.Setup{Queues: 3}, func(c nic.Config) error { return differ(len(c.Table), 8, c.Table.Queues(), 3) }},
		{"a larger table", setup.Setup{Table: &large}, func(c nic.Config) error { return differ(len(c.Table), 64, c.Table.Queues(), 4) }},
		{"fields", setup.Setup{Fields: []string{"udp4=sdfn"}}, func(c nic.Config) error { return differ(len(c.Table), 8, c.UDP4, rss.FourTuple) }},
	} {
		f := flags{nic: &c.given}
		config, _, err := f.model(nil, nictest.NewCard().Settings)
		if err == nil {
			err = c.check(config)
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// differ compares two pairs.
func differ[A, B comparable](gotA, wantA A, gotB, wantB B) error {
	if gotA != wantA || gotB != wantB {
		return fmt.Errorf("%v and %v, want %v and %v", gotA, gotB, wantA, wantB)
	}
	return nil
}

func TestRSSVerifyRefuses(t *testing.T) {
	w := nictest.New(t, Command)
	w.NICs = nictest.NewCard().Interfaces()
	see := "see lbctl rss verify --help"
	for _, c := range []struct {
		line       string
		code       int
		what, hint string
	}{
		{"eth9", 3, "read rss of eth9: no such interface", "name an interface that ip link shows in this network namespace"},
		{"veth0", 1, "model of veth0: no rss: " + nictest.VethHabit, "to compare it with a model all the same: --key, --queues, --table"},
		{"eth0 --mode fast", 2, `--mode: "fast" is not known: want auto, native, generic or socket`, see},
		{"eth0 --for -1s", 2, "--for: -1s is negative", see},
		{"eth0 --key abcd", 2, "--key: rss key of 2 bytes: want 40 to 256", see},
		{"eth0 --profile ixgb", 2, `--profile: "ixgb" is not known`, "did you mean --profile ixgbe?"},
	} {
		w.Refused("rss verify "+c.line, c.code, c.what, c.hint)
	}
}
