package balance

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"syscall"
	"testing"
	"time"

	"lbctl/cmd/cli"
)

// monitored is a connection through a daemon's namespace, both ends of it on real links.
type monitored struct {
	*modesBed
	c net.Conn
}

const monitoredConfig = `interfaces: [{name: eth0}, {name: eth1}]
services:
  - {name: web, vip: 192.0.2.1:80, replicas: [{address: 10.1.0.1:8080}]}
`

// echo sends a word, which must come back.
func (m monitored) echo(word string) {
	m.T.Helper()
	must(m.T, m.c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err := m.c.Write([]byte(word))
	must(m.T, err)
	back := make([]byte, len(word))
	if _, err := io.ReadFull(m.c, back); err != nil || string(back) != word {
		m.T.Fatalf("sent %q, got %q, %v", word, back, err)
	}
}

// sees reads lines until there was one of each kind.
func (m monitored) sees(w *watcher, kinds ...*regexp.Regexp) {
	m.T.Helper()
	for len(kinds) > 0 {
		line := w.line()
		for n, k := range kinds {
			if k.MatchString(line) {
				kinds = append(kinds[:n:n], kinds[n+1:]...)
				break
			}
		}
	}
}

// TestMonitorOnTheWire watches a connection through the kernel's datapath. The daemon is killed while
// somebody watches: the connection goes on, and the next daemon can be watched, too.
func TestMonitorOnTheWire(t *testing.T) {
	m := monitored{modesBed: newModesBed(t, 0)}
	end, err := m.replicas[0].Link("eth0")
	must(t, err, end.Merge()) // it takes what XDP redirects to it
	serve := []string{"serve", "--state-dir", m.Path("state"), "--pin-dir", m.pins}
	daemon := m.ProcessBy(m.balancer.Start, append(serve, "-f", m.Write("web.yaml", monitoredConfig))...)
	l := m.listenTCP(0, netip.MustParseAddrPort("10.1.0.1:8080"))
	go func() {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		defer c.Close()
		io.Copy(c, c)
	}()
	must(t, m.client.Do(func() (err error) {
		m.c, err = net.DialTimeout("tcp", "192.0.2.1:80", 10*time.Second)
		return err
	}))
	defer m.c.Close()
	m.echo("not watched")

	client := m.c.LocalAddr().String()
	there := regexp.MustCompile(fmt.Sprintf(`^T eth0 0/\d+ tcp %s > 192.0.2.1:80 forwarded web 10.1.0.1:8080 \d+$`, client))
	back := regexp.MustCompile(fmt.Sprintf(`^T eth1 0/\d+ tcp 10.1.0.1:8080 > %s returned web 10.1.0.1:8080 \d+$`, client))
	watching, _ := watch(m.World, "--service", "web")
	m.echo("watched")
	m.sees(watching, there, back)

	must(t, daemon.Process.Kill())
	daemon.Wait()
	m.echo("without a daemon")
	if code, _ := watching.leave(); code != cli.ExitUnreachable {
		t.Errorf("exit %d when the daemon was killed: %s", code, &watching.stderr)
	}

	again := m.ProcessBy(m.balancer.Start, serve...)
	m.echo("not watched again")
	watching, _ = watch(m.World, "--reason", "returned", "--count", "1")
	m.echo("watched again")
	m.sees(watching, back)
	if code := watching.end(); code != cli.ExitDone {
		t.Errorf("exit %d: %s", code, &watching.stderr)
	}
	m.echo("and not")
	must(t, again.Process.Signal(syscall.SIGTERM))
	if err := again.Wait(); err != nil {
		t.Errorf("serve: %v", err)
	}
}
