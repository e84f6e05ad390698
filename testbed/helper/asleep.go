package helper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Asleep returns an error unless all threads of a process sleep: they wait for something to happen, or for the disk. A
// thread for which there is something to do is runnable from that moment on, and no sleeper.
func Asleep(pid int) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("process %d: it has no threads", pid)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if !strings.HasPrefix(rest, "S") && !strings.HasPrefix(rest, "D") {
			return fmt.Errorf("a thread of process %d is running", pid)
		}
	}
	return nil
}

// looks is how many times in a row processes must be found asleep: one that was woken just now may not run yet.
const looks = 5

// AwaitIdle waits until processes have nothing to do: all sleep, looks times in a row, and what done counts has not changed
// meanwhile. processes may return an error that says what is still to be done. It gives up as Until does.
func AwaitIdle(ctx context.Context, within time.Duration, processes func() ([]int, error), done func() int, over func() error) error {
	quiet, last := 0, -1
	return Until(ctx, within, "processes to have nothing to do", func() error {
		all, err := processes()
		for _, pid := range all {
			err = errors.Join(err, Asleep(pid))
		}
		if n := done(); err != nil || n != last {
			quiet, last = 0, n
			return errors.Join(err, errors.New("something has changed"))
		}
		if quiet++; quiet < looks {
			return errors.New("they may only just have fallen asleep")
		}
		return nil
	}, over)
}
