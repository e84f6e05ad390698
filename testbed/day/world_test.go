package day

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/testbed/bed"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
	"lbctl/testbed/replica"
	"lbctl/testbed/xdp"
)

// world is the machines of the chapter: a client, a balancer between, and three replicas.
type world struct {
	*testing.T
	bed    *bed.Bed
	folder string
	client *netns.Namespace
	shells map[string]*shell
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The client is in the first network, the replicas in the second, and the balancer in both.
var (
	clientSide  = netip.MustParsePrefix("198.51.100.1/24")
	replicaSide = netip.MustParsePrefix("10.1.0.254/24")
	vip         = netip.MustParseAddr("192.0.2.1")
)

func newWorld(t *testing.T) *world {
	need.Root(t)
	need.Programs(t, "bash", "curl", "man", "prometheus", "promtool")
	w := &world{T: t, folder: t.TempDir(), shells: map[string]*shell{}}
	program := filepath.Join(w.folder, "bin", "lbctl")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lbctl/cmd/lbctl").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	w.bed, err = bed.New(program, slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(func() { check(t, w.bed.Close()) })
	w.wire(program)
	t.Cleanup(w.lastWords)
	return w
}

// wire makes the machines and opens a shell on each.
func (w *world) wire(program string) {
	balancer, err := w.bed.Router("balancer")
	check(w.T, err)
	replicas, err := w.bed.Namespace("replicas")
	check(w.T, err)
	w.client, err = w.bed.Namespace("client")
	check(w.T, err)
	check(w.T, w.join(balancer, "eth0", clientSide, w.client, netip.MustParseAddr("198.51.100.7"), netip.PrefixFrom(vip, 32)))
	all := []netip.Addr{}
	for n := byte(1); n <= 3; n++ {
		all = append(all, netip.AddrFrom4([4]byte{10, 1, 0, n}))
	}
	check(w.T, w.join(balancer, "eth1", replicaSide, replicas, all[0], clientSide.Masked(), all[1:]...))
	w.open("client", w.client, "")
	// The daemon has files of its own, so that a day can pass beside another daemon.
	w.open("balancer", balancer, fmt.Sprintf("cd %s; export PATH=$PWD/bin:$PATH LBCTL_SOCKET=$PWD/sock LBCTL_STATE_DIR=$PWD/state LBCTL_PIN_DIR=%s",
		w.folder, "/sys/fs/bpf/lbctl-day-"+filepath.Base(w.bed.Path(""))))
	for n, a := range all {
		config, err := json.Marshal(replica.Config{Listen: netip.AddrPortFrom(a, 8080), Index: n + 1, Site: replica.Site{Objects: 1, MinSize: 64, MaxSize: 64}})
		check(w.T, err)
		// The server of the chapter is nginx, which systemd starts and stops.
		w.open(fmt.Sprintf("replica%d", n+1), replicas, fmt.Sprintf(`systemctl() { case $1 in
			start) %s %s replica '%s' >/dev/null & server=$! ;;
			stop) kill $server; wait $server ;;
			esac; }; systemctl start nginx`, program, helper.Command, config))
	}
}

// join joins the balancer with a machine of some addresses, from where the way to a network is the balancer.
func (w *world) join(balancer *netns.Namespace, name string, own netip.Prefix, machine *netns.Namespace, a netip.Addr, to netip.Prefix, more ...netip.Addr) error {
	here, there, err := netns.Veth(netns.End{Namespace: balancer, Name: name}, netns.End{Namespace: machine, Name: "eth0"}, 0)
	if err != nil {
		return err
	}
	receive, err := xdp.Receive(there)
	if err != nil {
		return err
	}
	w.bed.Closing(receive)
	errs := []error{here.AddAddress(own), there.AddAddress(netip.PrefixFrom(a, own.Bits())), there.AddRoute(to, own.Addr())}
	for _, m := range more {
		errs = append(errs, there.AddAddress(netip.PrefixFrom(m, own.Bits())))
	}
	return errors.Join(errs...)
}

// lastWords shows the end of the logs of a day that failed.
func (w *world) lastWords() {
	logs, err := filepath.Glob(filepath.Join(w.folder, "*.log"))
	check(w.T, err)
	for _, l := range logs {
		text, err := os.ReadFile(l)
		check(w.T, err)
		if w.Failed() {
			w.Logf("%s:\n%s", filepath.Base(l), text[max(0, len(text)-2000):])
		}
	}
}

func (w *world) open(name string, on *netns.Namespace, setUp string) {
	s, err := open(on, name, setUp)
	check(w.T, err)
	w.shells[name] = s
	w.Cleanup(s.end)
}

// load is requests of the client, one after another, each on a connection of its own.
type load struct {
	asked, failed atomic.Int64
	last          atomic.Value // string: why the last one failed that did
	stop          chan struct{}
	done          sync.WaitGroup
	// before are the failures up to the last command, allowed those of them that a command is right to cause.
	before, allowed int64
	allowing        bool
}

// allow lets requests fail from now on.
func (l *load) allow() { l.allowing = true }

// forbid wants no request to fail from now on.
func (l *load) forbid() {
	if !l.allowing {
		return
	}
	for done := l.asked.Load() + 2; l.asked.Load() < done; { // those that are under way may still
		time.Sleep(time.Millisecond)
	}
	l.allowed += l.failed.Load() - l.before
	l.before, l.allowing = l.failed.Load(), false
}

// failure says why a request has failed since the last command that should not have, "" if none did.
func (l *load) failure() string {
	failed := l.failed.Load() - l.before
	if l.allowing || failed == 0 {
		return ""
	}
	l.before += failed
	return fmt.Sprintf("%d of the client's requests failed, the last by: %v", failed, l.last.Load())
}

// request makes requests until end is called.
func (w *world) request() *load {
	l := &load{stop: make(chan struct{})}
	l.done.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			if err := w.ask(); err != nil {
				l.last.Store(err.Error())
				l.failed.Add(1)
			}
			l.asked.Add(1)
		}
	})
	return l
}

// ask makes one request, and gives up after some seconds.
func (w *world) ask() error {
	const patience = 5 * time.Second
	c, err := w.client.Dial(netip.AddrPortFrom(vip, 80).String(), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: day\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %q, %v", answer.Status, body, err)
	}
	return nil
}

func (l *load) end() {
	close(l.stop)
	l.done.Wait()
}
