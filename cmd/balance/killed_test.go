package balance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/cmd/cli/clitest"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// killed is a daemon on the kernel that is killed and started again.
type killed struct {
	*clitest.World
	pins   string
	client *client.Client
	daemon *exec.Cmd
}

// newKilled starts a daemon with a configuration of an interface and two services, after what prepares its directory.
func newKilled(t *testing.T, prepare ...func(*killed)) *killed {
	need.Root(t)
	testns.Enter(t)
	testns.Veth(t, "eth0", "10.0.0.254/24")
	k := &killed{World: newWorld(t), pins: fmt.Sprintf("/sys/fs/bpf/lbctl-test-killed-%d", os.Getpid())}
	k.Kernel = XDP{}
	t.Cleanup(func() { purge(t, k.pins) })
	k.client = client.New(k.Path("s"))
	t.Cleanup(k.client.Close)
	for _, f := range prepare {
		f(k)
	}
	k.start("-f", k.Write("web.yaml", clitest.WebConfig))
	return k
}

func (k *killed) start(args ...string) {
	k.T.Helper()
	k.daemon = k.ProcessBy(func(c *exec.Cmd) error {
		if err := c.Start(); err != nil {
			return err
		}
		k.T.Cleanup(func() { c.Wait() })
		return nil
	}, slices.Concat([]string{"serve", "--state-dir", k.Path("state"), "--pin-dir", k.pins}, args)...)
}

// end ends the daemon.
func (k *killed) end(by syscall.Signal) {
	k.T.Helper()
	if err := k.daemon.Process.Signal(by); err != nil {
		k.T.Fatal(err)
	}
	k.daemon.Wait()
}

// A daemon that is killed anywhere in a change has the change or not, wholly, after its next start: by the store, by the kernel,
// and by what its client was told. LBCTL_KILLS says how often.
func TestKilledInChange(t *testing.T) {
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("LBCTL_KILLS"), "6"))
	must(t, err)
	k := newKilled(t)
	now, _, err := k.client.Config(t.Context())
	must(t, err)
	began := time.Now()
	now = changed(now, 1)
	_, err = k.client.Apply(t.Context(), now)
	must(t, err)
	random, longest := rand.New(rand.NewPCG(1, 2)), 2*time.Since(began)
	done, undone := 0, 0
	for n := range kills {
		next := changed(now, n)
		answered := make(chan error, 1)
		began = time.Now()
		go func() {
			if n%2 == 0 {
				_, err := k.client.PutService(t.Context(), next.Services[0])
				answered <- err
				return
			}
			_, err := k.client.Apply(t.Context(), next)
			answered <- err
		}()
		wait := time.NewTimer(time.Duration(random.Int64N(int64(longest))))
		told := false
		select {
		case err := <-answered:
			must(t, err)
			told, longest = true, max(time.Millisecond, min(longest, 2*time.Since(began)))
		case <-wait.C:
			longest += longest / 20
		}
		k.end(syscall.SIGKILL)
		if !told {
			told = <-answered == nil
		}
		k.start()
		is, _, err := k.client.Config(t.Context())
		must(t, err)
		switch text := textOf(t, is); {
		case text == textOf(t, next):
			done++
		case text == textOf(t, now) && !told:
			undone++
		default:
			t.Fatalf("kill %d: the change was answered %v, and the configuration is\n%s was\n%s want\n%s", n, told, text, textOf(t, now), textOf(t, next))
		}
		v, err := k.client.Verify(t.Context(), false)
		if err != nil || v.Found > 0 || v.SinceStart.Found > 0 {
			t.Fatalf("kill %d: %+v, %v", n, v, err)
		}
		now = is
	}
	t.Logf("%d kills: %d changes were done, %d were not", kills, done, undone)
}

// changed returns a configuration whose first service has other replicas, weights, and numbers of slots, by turns.
func changed(c api.Config, n int) api.Config {
	web := c.Services[0]
	web.Replicas, web.TableSize, web.Scheduler = nil, nil, "modulo"
	if n%3 == 0 {
		web.TableSize, web.Scheduler = new(int64(251)), "maglev"
	}
	for r := range 2 + n%3 {
		web.Replicas = append(web.Replicas, api.Replica{Address: fmt.Sprintf("10.0.0.%d:8080", 1+(n+r)%5), Weight: new(int64(1)), State: "active"})
	}
	c.Services = slices.Concat([]api.Service{web}, c.Services[1:])
	if n%2 == 1 {
		c.Services[1].Replicas = []api.Replica{{Address: "[2001:db8:1::1]:53", Weight: new(int64(1 + n%7)), State: "active"}}
	}
	return c
}

// textOf writes services without what has a default by what they have.
func textOf(t *testing.T, c api.Config) string {
	t.Helper()
	all := slices.Clone(c.Services)
	for n := range all {
		all[n].TableSize = nil
	}
	text, err := json.Marshal(all)
	must(t, err)
	return string(text)
}

// A restart with nothing changed, however the daemon ended, writes no row and touches no link.
func TestUnchangedRestart(t *testing.T) {
	k := newKilled(t)
	before := k.kernel()
	for _, by := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, args := range [][]string{nil, {"-f", k.Path("web.yaml")}} {
			k.end(by)
			k.start(args...)
			if v, err := k.client.Verify(t.Context(), false); err != nil || v.Found+v.SinceStart.Found > 0 {
				t.Errorf("after %v, with %v: %+v, %v", by, args, v, err)
			}
			after := k.kernel()
			for what, is := range after {
				if was := before[what]; is != was {
					t.Errorf("after %v, with %v: %s is\n%.300s was\n%.300s", by, args, what, is, was)
				}
			}
			if len(after) != len(before) {
				t.Errorf("after %v: %d things, were %d", by, len(after), len(before))
			}
		}
	}
}

// kernel returns everything that is pinned, by name: rows, numbers, and what the links run. Left out is what packets and time write.
func (k *killed) kernel() map[string]string {
	k.T.Helper()
	all := map[string]string{}
	pins, err := os.ReadDir(k.pins)
	must(k.T, err)
	for _, pin := range pins {
		path := filepath.Join(k.pins, pin.Name())
		if l, err := link.LoadPinnedLink(path, nil); err == nil {
			info, err := l.Info()
			must(k.T, err, l.Close())
			all[pin.Name()] = fmt.Sprintf("link %d with program %d", info.ID, info.Program)
			continue
		}
		if p, err := ebpf.LoadPinnedProgram(path, nil); err == nil {
			info, err := p.Info()
			must(k.T, err, p.Close())
			id, _ := info.ID()
			all[pin.Name()] = fmt.Sprintf("program %d", id)
			continue
		}
		m, err := ebpf.LoadPinnedMap(path, nil)
		must(k.T, err)
		info, err := m.Info()
		must(k.T, err)
		id, _ := info.ID()
		all[pin.Name()] = fmt.Sprintf("map %d: %x", id, rowsOf(k.T, m))
		must(k.T, m.Close())
	}
	return all
}

// rowsOf returns the rows of a map that are not zero.
func rowsOf(t *testing.T, m *ebpf.Map) []byte {
	t.Helper()
	if m.Type() != ebpf.Array || m.Flags()&unix.BPF_F_MMAPABLE == 0 {
		return nil // counters
	}
	var all []byte
	memory, err := unix.Mmap(m.FD(), 0, int(m.MaxEntries()*((m.ValueSize()+7)/8*8)), unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(memory)
	empty := make([]byte, os.Getpagesize()) // nearly all of it is: it is passed over by pages
	for at := 0; at < len(memory); at += 8 {
		if at%len(empty) == 0 && bytes.Equal(memory[at:min(at+len(empty), len(memory))], empty) {
			at += len(empty) - 8
			continue
		}
		word := memory[at : at+8]
		if strings.Contains(m.String(), "settings") && at == 0 {
			word = append(slices.Clone(word[:4]), 0, 0, 0, 0) // the epoch of the FIB cache
		}
		if !bytes.Equal(word, make([]byte, 8)) {
			all = append(fmt.Appendf(all, "@%x:", at), word...)
		}
	}
	return all
}
