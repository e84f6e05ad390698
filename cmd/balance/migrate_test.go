package balance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// talk is connections over which bytes go to and fro.
type talk struct {
	*modesBed
	pause sync.RWMutex // held: nobody talks
	ended sync.WaitGroup
	stop  chan struct{}
	mu    sync.Mutex
	said  int        // exchanges that are complete
	more  *sync.Cond // said has grown, or a connection has broken
	broke bool
}

// begin opens connections from client ports and talks over them. block is the number of bytes of one exchange.
func (k *talk) begin(first, n, block int, to aMode) {
	for port := first; port < first+n; port++ {
		c := k.dial("tcp", to, port)
		must(k.T, c.SetDeadline(time.Now().Add(2*time.Minute)))
		k.ended.Go(func() {
			defer c.Close()
			if err := k.exchange(c, block); err != nil {
				k.T.Errorf("client port %d: %v", port, err)
				k.done(0, true)
			}
		})
	}
}

func (k *talk) exchange(c net.Conn, block int) error {
	greeting := make([]byte, 1)
	for greeting[0] != '\n' {
		if _, err := io.ReadFull(c, greeting); err != nil {
			return err
		}
	}
	sent, got := make([]byte, block), make([]byte, block)
	for n := byte(0); ; n++ {
		for i := range sent {
			sent[i] = byte(rand.Uint32())
		}
		k.pause.RLock()
		_, err := c.Write(sent)
		if err == nil {
			_, err = io.ReadFull(c, got)
		}
		k.pause.RUnlock()
		if err != nil || !bytes.Equal(sent, got) {
			return fmt.Errorf("exchange %d: equal %v, %w", n, bytes.Equal(sent, got), err)
		}
		select {
		case <-k.stop:
			return nil
		default:
			k.done(1, false)
		}
	}
}

func (k *talk) done(n int, broke bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.said, k.broke = k.said+n, k.broke || broke
	k.more.Broadcast()
}

// exchanges waits for so many more.
func (k *talk) exchanges(n int) {
	k.T.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for from := k.said; k.said < from+n; k.more.Wait() {
		if k.broke {
			k.T.Fatal("a connection has broken")
		}
	}
}

// sent is the number of frames that went to the balancer's interfaces.
func (k *talk) sent() (n int) {
	for _, from := range []*netns.Namespace{k.client, k.replicas[0], k.replicas[1]} {
		must(k.T, from.Do(func() error {
			text, err := os.ReadFile("/proc/thread-self/net/dev")
			if err != nil {
				return err
			}
			_, line, _ := strings.Cut(string(text), "eth0:")
			packets, err := strconv.Atoi(strings.Fields(line)[9])
			n += packets
			return err
		}))
	}
	return n
}

// unseen is how many frames of those that were sent the program has not counted. Nobody talks meanwhile.
func (k *talk) unseen() int {
	k.T.Helper()
	k.pause.Lock()
	defer k.pause.Unlock()
	for {
		before, seen := k.sent(), 0
		var c api.Counters
		must(k.T, json.Unmarshal([]byte(k.OK("get", "counters", "-o", "json")), &c))
		for _, r := range c.Reasons {
			seen += int(r.Packets)
		}
		if before == k.sent() { // acknowledgements have come
			return before - seen
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Other limits are taken under traffic: no connection breaks, and every frame is counted, so none has passed by the program.
func TestMigrateUnderTraffic(t *testing.T) {
	b := newModesBed(t, 1500)
	web := aMode{vip: netip.MustParseAddr("192.0.2.1")}
	for n := range b.replicas {
		b.echoTCP(n, aMode{vip: netip.MustParseAddr(fmt.Sprintf("10.%d.0.1", n+1))})
		link, err := b.replicas[n].Link("eth0")
		must(t, err)
		receiving, err := xdp.Receive(link)
		must(t, err)
		defer receiving.Close()
	}
	config := func(services, flows int, state string) string {
		return b.Write("migrate.yaml", fmt.Sprintf(`datapath: {limits: {services: %d, flows: %d}}
interfaces: [{name: eth0}, {name: eth1}, {name: eth2}]
services:
  - name: web
    vip: 192.0.2.1:7
    scheduler: maglev
    replicas: [{address: "10.1.0.1:7", state: %s}, {address: "10.2.0.1:7"}]
`, services, flows, state))
	}
	start := func(file string) (stop func()) {
		d := b.ProcessBy(b.balancer.Start, "serve", "--state-dir", b.Path("state"), "--pin-dir", b.pins, "-f", file)
		return func() {
			must(t, d.Process.Signal(syscall.SIGTERM), d.Wait())
		}
	}
	stop := start(config(8, 1<<12, "active"))
	k := &talk{modesBed: b, stop: make(chan struct{})}
	k.more = sync.NewCond(&k.mu)
	k.begin(40_000, 20, 100, web)
	k.begin(40_100, 1, 100_000, web)
	if code, _, said := b.Run("apply", "-f", config(8, 1<<12, "draining")); code != cli.ExitDone { // slots are in transition
		t.Fatalf("apply: exit %d, %s", code, said)
	}
	k.begin(41_000, 20, 100, web)
	k.exchanges(200)
	unseen := k.unseen()
	for _, limits := range [][2]int{{16, 1 << 12}, {4, 1 << 14}, {8, 1 << 10}} {
		stop()
		stop = start(config(limits[0], limits[1], "draining"))
		k.exchanges(400)
		if now := k.unseen(); now != unseen {
			t.Errorf("limits %v: %d frames passed by the program", limits, now-unseen)
		}
	}
	b.OK("detach", "eth0")
	for before := k.sent(); k.sent() < before+10; {
		time.Sleep(10 * time.Millisecond)
	}
	b.OK("attach", "eth0")
	k.exchanges(100)
	if k.unseen() == unseen {
		t.Error("a detached interface is not noticed")
	}
	close(k.stop)
	k.ended.Wait()
	stop()
}
