package traffic_test

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"lbctl/testbed/journal"
	"lbctl/testbed/replica"
	"lbctl/testbed/traffic"
)

// At the barrier every connection has asked half and is open: the second half comes on the same flows.
func TestBarrierHoldsConnectionsOpen(t *testing.T) {
	c := config(t, start(t, replica.Config{Site: site}))
	c.Barrier, c.Progress = true, 10
	stdinReader, stdin := io.Pipe()
	stdout, stdoutWriter := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- traffic.Run(t.Context(), c, stdinReader, stdoutWriter)
		_ = stdoutWriter.Close()
	}()
	var lines []string
	for scan := bufio.NewScanner(stdout); scan.Scan(); {
		lines = append(lines, scan.Text())
		if scan.Text() == traffic.Half {
			_, _ = io.WriteString(stdin, "go\n")
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	all, err := journal.Read[traffic.Request](c.Log)
	if err != nil || len(all) != 100 || len(failed(all)) != 0 {
		t.Fatalf("%d requests, %d failed, %v", len(all), len(failed(all)), err)
	}
	// 3 of 5 requests on each of 20 connections come before it.
	checkHalves(t, all[:60], all[60:])
	want := "progress 10 100,progress 20 100,progress 30 100,progress 40 100,progress 50 100,progress 60 100," +
		"half,progress 70 100,progress 80 100,progress 90 100,progress 100 100"
	if got := strings.Join(lines, ","); got != want {
		t.Errorf("printed %s\nwant %s", got, want)
	}
}

// checkHalves wants three requests of each connection in the first half and two on the same flow in the second.
func checkHalves(t *testing.T, first, second []traffic.Request) {
	t.Helper()
	type key struct {
		connection int
		flow       string
	}
	before, after := map[key]int{}, map[key]int{}
	for _, r := range first {
		before[key{r.Connection, r.Flow.String()}]++
	}
	for _, r := range second {
		after[key{r.Connection, r.Flow.String()}]++
	}
	for k, n := range before {
		if n != 3 || after[k] != 2 {
			t.Errorf("connection %v: %d and %d requests, want 3 and 2", k, n, after[k])
		}
	}
}

func TestBarrierWithoutALineIsAnError(t *testing.T) {
	c := config(t, start(t, replica.Config{Site: site}))
	c.Barrier = true
	if err := traffic.Run(t.Context(), c, strings.NewReader(""), io.Discard); err == nil {
		t.Error("went on at the end of stdin")
	}
}
