package rest_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lbctl/control/rest"
	"lbctl/lb"
)

// Of several daemons that start at once on one socket, one has it, and it is its listener that clients reach.
func TestListenAtOnce(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	for round := range 100 {
		if round%2 == 0 {
			stale(t, path)
		}
		begin, got := make(chan struct{}), make(chan net.Listener, 8)
		var all sync.WaitGroup
		for range cap(got) {
			all.Go(func() {
				<-begin
				switch l, err := rest.Listen(path, 0o660); {
				case err == nil:
					got <- l
				case !errors.Is(err, lb.ErrConflict):
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
		if len(got) != 1 {
			t.Fatalf("round %d: %d of %d have the socket", round, len(got), cap(got))
		}
		(<-got).Close()
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A socket that others can replace is refused.
func TestListenWhereOthersCanWrite(t *testing.T) {
	dir := filepath.Join(shortDir(t), "d")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	var hinted interface{ Hint() string }
	if _, err := rest.Listen(filepath.Join(dir, "s"), 0o660); !errors.Is(err, lb.ErrDenied) || !errors.As(err, &hinted) {
		t.Errorf("%v, want lb.ErrDenied with a hint", err)
	}
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	l, err := rest.Listen(filepath.Join(dir, "s"), 0o660)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
