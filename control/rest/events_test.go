package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/control/api"
	"lbctl/control/client"
)

// follow begins to read events; the stream ends with the test.
func (w *world) follow(wanted client.Wanted) func() api.Event {
	w.t.Helper()
	wanted.Follow = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), time.Minute)
	next, stop := iter.Pull2(w.client.Events(ctx, wanted))
	w.t.Cleanup(func() { cancel(); stop() })
	return func() api.Event {
		w.t.Helper()
		e, err, _ := next()
		if err != nil {
			w.t.Fatal(err)
		}
		return e
	}
}

// kept reads the events that are kept, and ends.
func (w *world) kept(wanted client.Wanted) (all []api.Event) {
	w.t.Helper()
	for e, err := range w.client.Events(w.t.Context(), wanted) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// passTime lets a second pass whenever the daemon waits, until the test ends.
func (w *world) passTime() {
	ended := make(chan struct{})
	w.t.Cleanup(func() { close(ended) })
	go func() {
		for {
			select {
			case <-w.clock.armed:
				w.clock.advance(time.Second)
			case <-ended:
				return
			}
		}
	}()
}

// brief is an event without what differs from run to run.
func brief(e api.Event) string {
	return strings.Join(strings.Fields(fmt.Sprint(e.Kind, " ", e.Revision, " ", e.Services, " ", e.Replica, e.Interface, " ", e.Before, " ", e.After, " ", e.Reason)), " ")
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	next := w.follow(client.Wanted{})
	w.apply("interfaces: [{name: eth0}]\n" + webAndDNS)
	w.dp.unplug("eth0")
	w.drain(noon.Add(time.Second))
	w.passTime()
	seen := map[string]bool{}
	for _, want := range []string{
		"intent_changed 1 [] start", "intent_changed 2 [web dns] put config", "intent_changed 3 [web] put replica 10.0.0.1:80 of service web",
		"replica_changed 3 [web] 10.0.0.1:80 draining down drain deadline passed", "interface_missing 3 [] eth0 attach eth0: interface not found",
	} {
		seen[want] = true
	}
	var ids []string
	for len(seen) > 0 {
		e := next()
		ids = append(ids, e.ID)
		delete(seen, brief(e))
		if _, err := time.Parse(time.RFC3339Nano, e.Time); err != nil {
			t.Error(err)
		}
	}
	if again := w.kept(client.Wanted{After: ids[1]}); len(again) < len(ids)-2 || again[0].ID != ids[2] {
		t.Errorf("after %s: %v, want from %s on", ids[1], again, ids[2])
	}
	for _, e := range w.kept(client.Wanted{Service: "dns"}) {
		if !slices.Contains(e.Services, "dns") {
			t.Errorf("an event about dns: %+v", e)
		}
	}
}

// TestEventsAcrossARestart: a reader goes on by itself, is told that it does not know what happened meanwhile, and gets each event
// of the new daemon once. Ids grow.
func TestEventsAcrossARestart(t *testing.T) {
	dir, memory := shortDir(t), newMemory()
	w := start(t, dir, memory)
	next := w.follow(client.Wanted{})
	first := next()
	w.apply(web)
	second := next()
	w.stop()
	again := start(t, dir, memory.Reopen())
	if e := next(); e.Kind != "gap" || e.Lost != 0 || !strings.Contains(e.Reason, "started again") {
		t.Errorf("after a restart: %+v", e)
	}
	again.apply(webAndDNS)
	third := next()
	if brief(third) != "intent_changed 3 [dns] put config" {
		t.Errorf("the event after it: %s", brief(third))
	}
	ids := []string{first.ID, second.ID, third.ID}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 3 {
		t.Errorf("ids do not grow: %v", ids)
	}
	if e := again.kept(client.Wanted{After: third.ID}); len(e) > 0 {
		t.Errorf("after the last: %v", e)
	}
}

// TestEventsAreRefused: what is asked for wrongly, and too many readers.
func TestEventsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, wrong := range []string{"x", "1", "-", "1-", "-1", "1-2-3", "1-99999999999999999999", "'1-1'"} {
		response, text := w.request("GET", "/v1/events?follow=false", "", "Last-Event-ID", wrong)
		if response.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "header.Last-Event-ID") {
			t.Errorf("Last-Event-ID %s: %d %s", wrong, response.StatusCode, text)
		}
	}
	w.client.Close()
	for range 32 {
		w.stopped("GET /v1/events")
	}
	response, text := w.request("GET", "/v1/events?follow=false", "")
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "32 clients read events already") {
		t.Errorf("one more than 32: %d %s", response.StatusCode, text)
	}
	if response, _ := w.request("GET", "/v1/config", ""); response.StatusCode != http.StatusOK {
		t.Errorf("other requests: %d", response.StatusCode)
	}
}

// TestEventsEnd: with the daemon, which does not wait for them, and with a client that does not read the beats.
func TestEventsEnd(t *testing.T) {
	w := routedWorldOf(t, 100*time.Millisecond)
	_, r := w.stopped("GET /v1/events")
	for range 4 {
		if line, err := r.ReadString('\n'); err != nil || strings.Trim(line, ":0123456789abcdef\r\n") != "" {
			t.Fatalf("a beat: %q, %v", line, err)
		}
	}
	for range 64 { // a place is free again each time
		if response, text := w.request("GET", "/v1/events?follow=false", ""); response.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", response.StatusCode, text)
		}
	}
	w = newWorld(t) // a patient one
	_, open := w.stopped("GET /v1/events")
	w.stop()
	if text, err := io.ReadAll(open); err != nil || !strings.HasSuffix(string(text), "0\r\n\r\n") { // the last chunk: not cut off
		t.Errorf("the end of the daemon: %q, %v", text, err)
	}
}

// TestEventsResumeGivesUp: where no daemon comes back, and at the first attempt at once.
func TestEventsResumeGivesUp(t *testing.T) {
	nowhere := client.New(shortDir(t) + "/s")
	for _, err := range nowhere.Events(t.Context(), client.Wanted{Follow: true}) {
		if !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("no daemon: %v", err)
		}
	}
}
