package ethtool

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
	"lbctl/rss"
)

// inNamespace puts the test into a network namespace of its own, which ends with its thread.
func inNamespace(t *testing.T) {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal("unshare network namespace:", err)
	}
}

func TestLiveVeth(t *testing.T) {
	inNamespace(t)
	a := netlink.NewLinkAttrs()
	a.Name, a.NumRxQueues, a.NumTxQueues = "here", 4, 4
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "there"}); err != nil {
		t.Fatal(err)
	}
	s, err := Read("here")
	if err != nil {
		t.Fatal(err)
	}
	if s.Driver != "veth" || s.HasRSS() || s.Channels == nil || s.Channels.MaxRX != 4 {
		t.Errorf("%+v, channels %+v", s, s.Channels)
	}
	// The kernel's refusal, not After's: it understands the message and says that the driver does not support it.
	s.Table, s.Key = rss.Table{0}, make(rss.Key, 40)
	err = Apply(s, Change{Table: &rss.TablePlan{Equal: 1}, Key: rss.MicrosoftKey()})
	if !errors.Is(err, ErrRefused) || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("set rss of a veth: %v", err)
	}
	for what, err := range map[string]error{
		"create": second(Create(s, Change{})), "read": second(ReadContext(s, 1)), "delete": Delete(s, 1),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s a context of a veth: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestLiveTAP(t *testing.T) {
	inNamespace(t)
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tap := os.NewFile(uintptr(fd), "tap")
	defer tap.Close()
	request, err := unix.NewIfreq("tapped")
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_MULTI_QUEUE)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		t.Fatal(err)
	}
	s, err := Read("tapped")
	if err != nil || s.Driver != "tun" || s.Bus != "tap" || s.HasRSS() {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestLiveNoInterface(t *testing.T) {
	for _, name := range []string{"none0", "", "a-name-of-more-than-fifteen-bytes"} {
		if s, err := Read(name); !errors.Is(err, ErrNoInterface) {
			t.Errorf("%q: %+v, %v", name, s, err)
		}
	}
	if _, err := Read("lo"); err != nil {
		t.Error("without privilege:", err)
	}
}

// The kernel checks a message's attributes before it asks the driver: ours pass, malformed ones do not.
func TestLiveMessageIsUnderstood(t *testing.T) {
	inNamespace(t)
	s := Settings{Interface: "lo", Queues: 1, Table: rss.Table{0}, Key: make(rss.Key, 40), Fields: map[FlowType]rss.Fields{TCP4: 0}}
	change := Change{Table: &rss.TablePlan{Equal: 1}, Key: make(rss.Key, 40), Fields: []FieldsOf{{TCP4, rss.FourTuple}}}
	after, err := s.After(change)
	if err != nil {
		t.Fatal(err)
	}
	emptyKey := appendAttribute(header("lo"), rssKey, nil)
	if _, err := (system{}).message(messageRSSSet, emptyKey); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("needs Linux 6.17: this kernel has no RSS_SET")
	} else if !errors.Is(err, unix.ERANGE) {
		t.Errorf("an empty key: %v, want %v", err, unix.ERANGE)
	}
	if _, err := (system{}).message(messageRSSSet, encodeChange("lo", after, change)); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("a whole change: %v, want the driver's %v", err, unix.EOPNOTSUPP)
	}
	after.Context, change.Fields = 7, nil
	for command, message := range map[uint8][]byte{
		messageRSSCreate: encodeChange("lo", after, change), messageRSSDelete: appendContext(header("lo"), 7),
	} {
		if _, err := (system{}).message(command, message); !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("message %d about a context: %v, want the driver's %v", command, err, unix.EOPNOTSUPP)
		}
		if _, err := (system{}).message(command, attribute(header("lo"), rssContext, 0)); !errors.Is(err, unix.ERANGE) {
			t.Errorf("message %d about context 0: %v, want %v", command, err, unix.ERANGE)
		}
	}
}
