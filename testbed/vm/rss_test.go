package vm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/bpf/need"
	"lbctl/rss"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
	"lbctl/testbed/netns"
)

// The commands lbctl rss set, show and plan on a real driver with another implementation of RSS below it. What they did is
// judged by the guest's own ethtool, and by the queues on which frames come in. Linux 6.1 answers by ioctl, 6.12 by netlink.
func TestRSSCommands(t *testing.T) {
	need.Programs(t, "ethtool")
	program := filepath.Join(t.TempDir(), "lbctl")
	c := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", program, "lbctl/cmd/lbctl")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build lbctl: %v\n%s", err, out)
	}
	for kernel, by := range map[string]string{oldest: "ioctl", newer: "netlink"} {
		t.Run(kernel, func(t *testing.T) {
			t.Parallel()
			r := bootRSS(t, program, kernel)
			r.sets()
			r.plans()
			r.reads(by)
			r.refuses()
		})
	}
}

// rssTrial is a guest with a NIC, and the frames for it.
type rssTrial struct {
	*testing.T
	m      *Machine
	flows  []packet.Flow
	frames [][]byte
}

// planned is how many packets flow i of the capture has: few flows are large.
func planned(i int) int { return 1 + 60/(1+i) }

// rssFiles are what the commands read: any table, and a capture.
func rssFiles(t *testing.T, r *rssTrial) map[string][]byte {
	t.Helper()
	var table rss.Table
	for i := range 128 {
		table = append(table, rss.Queue(i*i/5%4))
	}
	fill, err := json.Marshal(map[string]any{"table": table})
	if err != nil {
		t.Fatal(err)
	}
	var capture bytes.Buffer
	w, err := pcap.NewWriter(&capture)
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range r.load() {
		if err := w.Write(pcap.Packet{Time: time.Unix(1, 0), Frame: frame, Length: len(frame)}); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]byte{"table.json": fill, "c.pcap": capture.Bytes()}
}

// load are the frames of the capture.
func (r *rssTrial) load() (all [][]byte) {
	for i, frame := range r.frames {
		for range planned(i) {
			all = append(all, frame)
		}
	}
	return all
}

func bootRSS(t *testing.T, program, kernel string) *rssTrial {
	t.Helper()
	need.Root(t)
	run, err := netns.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Close() })
	r := &rssTrial{T: t}
	for i := range 200 {
		r.flows = append(r.flows, packet.Flow{
			Source:      netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i % 7), byte(i)}), uint16(40000+17*i)),
			Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: []packet.Protocol{packet.TCP, packet.UDP}[i%2],
		})
		frame := packet.Frame{Destination: packet.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56}, Flow: r.flows[i], Payload: make([]byte, 20)}.Marshal()
		binary.BigEndian.PutUint32(frame[len(frame)-4:], uint32(i))
		r.frames = append(r.frames, frame)
	}
	ethtool, err := exec.LookPath("ethtool")
	if err != nil {
		t.Fatal(err)
	}
	c := config(t)
	c.Cache, c.Install, c.Kernel, c.Program, c.Programs, c.Files = "", true, kernel, program, []string{ethtool}, rssFiles(t, r)
	if c.Namespace, err = run.Make("vm"); err != nil {
		t.Fatal(err)
	}
	r.m, err = Start(t.Context(), c)
	if errors.Is(err, ErrMissing) {
		need.QEMU(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.m.Close() })
	if got := r.m.Hello().MAC; got != (packet.MAC{0x52, 0x54, 0, 0x12, 0x34, 0x56}) {
		t.Fatalf("the guest's NIC is %v: QEMU gives the first one another address", got)
	}
	return r
}

// run runs a command in the guest, of words without spaces, and returns what it wrote.
func (r *rssTrial) run(command string) string {
	r.Helper()
	ran, err := r.m.Run(r.Context(), strings.Fields(command)...)
	if err != nil {
		r.Fatal(err)
	}
	if ran.Failed != "" {
		r.Fatalf("%s: %s\n%s", command, ran.Failed, ran.Output)
	}
	return ran.Output
}

// refused runs a command that must fail with an exit code and an error.
func (r *rssTrial) refused(command string, code int, want string) {
	r.Helper()
	ran, err := r.m.Run(r.Context(), strings.Fields(command)...)
	if err != nil {
		r.Fatal(err)
	}
	if ran.Failed != fmt.Sprintf("exit status %d", code) || !strings.Contains(ran.Output, want) {
		r.Errorf("%s: %s, want exit status %d and %q\n%s", command, ran.Failed, code, want, ran.Output)
	}
}

// shown is what ethtool shows of the NIC.
type shown struct {
	Table  rss.Table
	Key    string
	Fields map[string]string
}

// ethtool reads it.
func (r *rssTrial) ethtool() (s shown) {
	r.Helper()
	lines := strings.Split(r.run("/ethtool -x eth0"), "\n")
	for i, l := range lines {
		entries, isTable := "", false
		if _, entries, isTable = strings.Cut(l, ":"); isTable && strings.HasPrefix(l, "  ") {
			for _, word := range strings.Fields(entries) {
				if queue, err := strconv.ParseUint(word, 10, 16); err == nil {
					s.Table = append(s.Table, rss.Queue(queue))
				}
			}
		}
		if l == "RSS hash key:" {
			s.Key = lines[i+1]
		}
	}
	s.Fields = map[string]string{}
	for _, kind := range []string{"tcp4", "udp4"} {
		said := r.run("/ethtool -n eth0 rx-flow-hash " + kind)
		for letter, words := range map[string]string{"s": "IP SA", "d": "IP DA", "f": "L4 bytes 0 & 1", "n": "L4 bytes 2 & 3"} {
			if strings.Contains(said, words) {
				s.Fields[kind] += letter
			}
		}
		s.Fields[kind] = sorted(s.Fields[kind])
	}
	return s
}

func sorted(letters string) string {
	b := []byte(letters)
	slices.Sort(b)
	return string(b)
}

// arrive sends one frame of each flow, and compares the queues with what the NIC should do by the definition of the hash.
func (r *rssTrial) arrive(s shown) {
	r.Helper()
	key, err := rss.ParseKey(s.Key)
	if err != nil {
		r.Fatal(err)
	}
	seen, err := r.m.Send(r.Context(), r.frames)
	if err != nil {
		r.Fatal(err)
	}
	if len(seen) != len(r.frames) {
		r.Fatalf("%d of %d frames came in", len(seen), len(r.frames))
	}
	wrong := 0
	for _, f := range seen {
		flow := r.flows[f.Tag]
		tuple := rss.AppendTuple(nil, flow.Source, flow.Destination)
		if kind := flow.Protocol.String() + "4"; s.Fields[kind] == "ds" {
			tuple = tuple[:8]
		} else if s.Fields[kind] != "dfns" {
			r.Fatalf("hash fields of %s: %q", kind, s.Fields[kind])
		}
		if want := s.Table[int(rss.Toeplitz(key, tuple))%len(s.Table)]; f.Queue != want {
			if wrong++; wrong < 4 {
				r.Logf("%v: queue %d, want %d", flow, f.Queue, want)
			}
		}
	}
	if wrong > 0 {
		r.Errorf("%d of %d frames came in on another queue", wrong, len(seen))
	}
}

// sets changes one thing after the other.
func (r *rssTrial) sets() {
	r.Helper()
	want := r.ethtool()
	r.run("/lbctl rss set eth0 --weight 3,1,0,4 --dry-run")
	// No frames yet: Linux 6.1 shows settings that the device forgot when the interface was set up, until the first change.
	if diff := cmp.Diff(want, r.ethtool()); diff != "" {
		r.Errorf("a dry run: ethtool, -before +after:\n%s", diff)
	}
	r.run("/lbctl rss set eth0 --weight 3,1,0,4")
	want.Table = nil
	for q, n := range []int{48, 16, 0, 64} {
		want.Table = append(want.Table, slices.Repeat(rss.Table{rss.Queue(q)}, n)...)
	}
	r.want("weights", want)
	r.run("/lbctl rss set eth0 --key symmetric --fields udp4=sdfn")
	want.Key, want.Fields["udp4"] = strings.Repeat("6d:5a:", 19)+"6d:5a", "dfns"
	r.want("key and fields", want)
	r.run("/lbctl rss set eth0 --key ms --fields udp4=sd --equal 2 --start 1")
	want.Key, want.Fields["udp4"] = rss.MicrosoftKey().String(), "ds"
	for i := range want.Table {
		want.Table[i] = rss.Queue(1 + i%2)
	}
	r.want("all at once", want)
	r.run("/lbctl rss set eth0 --fill @/table.json --fields udp4=sdfn")
	want.Fields["udp4"] = "dfns"
	for i := range want.Table {
		want.Table[i] = rss.Queue(i * i / 5 % 4)
	}
	r.want("any table", want)
}

// want compares what ethtool shows, and what the NIC does.
func (r *rssTrial) want(what string, want shown) {
	r.Helper()
	got := r.ethtool()
	if diff := cmp.Diff(want, got); diff != "" {
		r.Errorf("%s: ethtool, -want +got:\n%s", what, diff)
	}
	r.arrive(got)
}

// plans applies a plan of a capture: its frames then come in as it said.
func (r *rssTrial) plans() {
	r.Helper()
	r.run("/lbctl rss set eth0 --default")
	count := func() []uint64 {
		seen, err := r.m.Send(r.Context(), r.load())
		if err != nil {
			r.Fatal(err)
		}
		loads := make([]uint64, Queues)
		for _, f := range seen {
			loads[f.Queue]++
		}
		return loads
	}
	before := count()
	type load struct {
		Loads   []uint64 `json:"loads"`
		MaxMean float64  `json:"max_mean"`
	}
	var p struct {
		Applied bool      `json:"applied"`
		Table   rss.Table `json:"table"`
		Now     load      `json:"load_now"`
		After   load      `json:"load_after"`
	}
	if err := json.Unmarshal([]byte(r.run("/lbctl rss plan /c.pcap --interface eth0 --apply -o json")), &p); err != nil {
		r.Fatal(err)
	}
	if got := r.ethtool().Table; !p.Applied || !slices.Equal(got, p.Table) {
		r.Errorf("applied %v; planned table %v, ethtool shows %v", p.Applied, p.Table, got)
	}
	if after := count(); !slices.Equal(before, p.Now.Loads) || !slices.Equal(after, p.After.Loads) || p.After.MaxMean >= p.Now.MaxMean {
		r.Errorf("loads: said %v, were %v; planned %v, came %v", p.Now.Loads, before, p.After.Loads, after)
	}
}

// reads changes the NIC by ethtool and reads it by lbctl.
func (r *rssTrial) reads(by string) {
	r.Helper()
	r.run("/ethtool -X eth0 weight 1 2 3 2 hkey " + strings.Repeat("a1:", 39) + "5c")
	r.run("/ethtool -N eth0 rx-flow-hash udp4 sd")
	want := r.ethtool()
	var got struct {
		Table  rss.Table         `json:"table"`
		Key    string            `json:"key"`
		Fields map[string]string `json:"fields_by_type"`
		Source string            `json:"source"`
	}
	if err := json.Unmarshal([]byte(r.run("/lbctl rss show eth0 -o json")), &got); err != nil {
		r.Fatal(err)
	}
	is := shown{got.Table, got.Key, map[string]string{"tcp4": sorted(got.Fields["tcp4"]), "udp4": sorted(got.Fields["udp4"])}}
	if diff := cmp.Diff(want, is); diff != "" || got.Source != by {
		r.Errorf("by %s, want %s; -ethtool +lbctl:\n%s", got.Source, by, diff)
	}
}

// refuses asks for what the driver cannot do: it says so, and nothing has changed.
func (r *rssTrial) refuses() {
	r.Helper()
	want := r.ethtool()
	refused := "set rss of eth0: key and table: refused: the driver does not accept it"
	r.refused("/lbctl rss set eth0 --function xor", 1, refused)
	r.refused("/lbctl rss set eth0 --fields udp4=sdfn --equal 1 --function xor", 1, refused)
	r.refused("/lbctl rss set eth0 --fields udp4=s", 1, "set rss of eth0: hash fields s of udp4: refused")
	r.refused("/lbctl rss set eth0 --context new --equal 2", 1, "create rss context of eth0: refused: the driver has no additional contexts")
	r.refused("/lbctl rss set eth0 --context 1 --equal 2", 1, "read rss context 1 of eth0: refused: the driver has no additional contexts")
	r.refused("/lbctl rss set eth0 --equal 5", 2, "names queue 4: want 0 to 3")
	if got := r.ethtool(); !cmp.Equal(want, got) {
		r.Errorf("what was refused has changed something: -before +after:\n%s", cmp.Diff(want, got))
	}
}
