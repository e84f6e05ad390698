package stress

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// BenchmarkReads reads over a real socket, with 100 services of 4 replicas in memory. reads/cpu-s is how many there are in a
// second of CPU of server and client together; of the kernel's tables it tells nothing.
func BenchmarkReads(b *testing.B) {
	_, e, client := served(b)
	_, _, err := e.Change(b.Context(), engine.Change{Edit: func(i intent.Intent) (intent.Intent, error) {
		for n := range byte(100) {
			s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n + 1}), 80), Protocol: packet.TCP}}
			for r := range byte(4) {
				s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, r, n + 1}), 80), Weight: 1})
			}
			i.Services = append(i.Services, &intent.Service{Name: fmt.Sprintf("s%d", n), Service: s.WithDefaults()})
		}
		return i, nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range []string{"/v1/services/s7", "/v1/services/s7/replicas", "/v1/status", "/v1/services"} {
		b.Run(path[len("/v1/"):], func(b *testing.B) {
			before := used(b)
			for b.Loop() {
				read(b, client, path)
			}
			b.ReportMetric(float64(b.N)/(used(b)-before).Seconds(), "reads/cpu-s")
		})
	}
}

func read(b *testing.B, client *http.Client, path string) {
	answer, err := client.Get("http://lbctl" + path)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		b.Fatal(answer.Status, err)
	}
}

// used is the CPU time of this process.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
