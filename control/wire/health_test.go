package wire_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/wire"
)

// checked is a file with a service that is checked as a mapping says.
func checked(health string) string { return service + "    health: {" + health + "}\n" + replicas }

// Every default is written out, and read again it is the same check.
func TestHealthIsWrittenOut(t *testing.T) {
	for given, want := range map[string]string{
		"type: tcp":  "{type: tcp, interval: 2s, timeout: 1s, rise: 2, fall: 3, on_all_unhealthy: all}",
		"type: http": "{type: http, interval: 2s, timeout: 1s, rise: 2, fall: 3, on_all_unhealthy: all, path: /, status: 200}",
		"type: http, path: /healthz, status: 200, host: name, interval: 2s, timeout: 1s, rise: 2, fall: 3": "{type: http, interval: 2s, timeout: 1s, rise: 2, fall: 3, on_all_unhealthy: all, path: /healthz, status: 200, host: name}",
		"type: https, host: 'a.example:8443', port: 8443, interval: 500ms":                                 "{type: https, interval: 500ms, timeout: 500ms, rise: 2, fall: 3, port: 8443, on_all_unhealthy: all, path: /, status: 200, host: 'a.example:8443', server_name: a.example, certificate: verify}",
		"type: https, certificate: ignore, on_all_unhealthy: none, body: ok":                               "{type: https, interval: 2s, timeout: 1s, rise: 2, fall: 3, on_all_unhealthy: none, path: /, status: 200, body: ok, certificate: ignore}",
		"type: http, statuses: [200-299, '304']":                                                           "{type: http, interval: 2s, timeout: 1s, rise: 2, fall: 3, on_all_unhealthy: all, path: /, statuses: [200-299, '304']}",
		"type: http, statuses: ['204']":                                                                    "{type: http, interval: 2s, timeout: 1s, rise: 2, fall: 3, on_all_unhealthy: all, path: /, status: 204}",
		"type: udp, send: 'hex:00ff', expect: pong":                                                        "{type: udp, interval: 2s, timeout: 1s, rise: 2, fall: 3, on_all_unhealthy: all, send: 'hex:00ff', expect: pong}",
		"type: exec, command: [/bin/check, '', 'a b'], timeout: 2s":                                        "{type: exec, interval: 2s, timeout: 2s, rise: 2, fall: 3, on_all_unhealthy: all, command: [/bin/check, '', 'a b']}",
		"type: passive":          "{type: passive, on_all_unhealthy: all, passive: {counts: refusals, percent: 50, new_flows: 20, window: 10s, ejection: 30s, max_ejected_percent: 50}}",
		"type: tcp, passive: {}": "{type: tcp, interval: 2s, timeout: 1s, rise: 2, fall: 3, on_all_unhealthy: all, passive: {counts: refusals, percent: 50, new_flows: 20, window: 10s, ejection: 30s, max_ejected_percent: 50}}",
		"type: passive, on_all_unhealthy: none, passive: {counts: resets, percent: 100, new_flows: 1, window: 1m, ejection: 1h, max_ejected_percent: 1}": "{type: passive, on_all_unhealthy: none, passive: {counts: resets, percent: 100, new_flows: 1, window: 1m, ejection: 1h, max_ejected_percent: 1}}",
	} {
		i, err := resolve(checked(given))
		if err != nil {
			t.Fatalf("%s: %v", given, err)
		}
		wanted, err := config.Parse("f.yaml", []byte(service+"    health: "+want+"\n"+replicas))
		if err != nil {
			t.Fatal(err)
		}
		doc := wire.Config(i)
		if diff := cmp.Diff(wanted.Config.Services[0].Health, doc.Services[0].Health); diff != "" {
			t.Errorf("%s (-want +got):\n%s", given, diff)
		}
		again, err := wire.Resolve(doc, intent.Default())
		if err != nil || !again.Equal(i) || again.Services[0].Health.Type == intent.NoCheck {
			t.Errorf("%s: read again %+v, %v", given, again.Services[0].Health, err)
		}
	}
}

// A slow start is kept as it is written, where there are weights.
func TestSlowStart(t *testing.T) {
	i, err := resolve(service + "    scheduler: maglev\n    health: {type: tcp, slow_start: 30s}\n" + replicas)
	if err != nil {
		t.Fatal(err)
	}
	doc := wire.Config(i)
	again, err := wire.Resolve(doc, intent.Default())
	if err != nil || doc.Services[0].Health.SlowStart != "30s" || !again.Equal(i) || again.Services[0].Health.SlowStart != 30*time.Second {
		t.Errorf("written out %+v, read again %+v, %v", doc.Services[0].Health, again.Services[0].Health, err)
	}
}

// What is wrong with a check is said with the field, the value and an example.
func TestHealthIsWrong(t *testing.T) {
	long := strings.Repeat("a", 1025)
	for given, want := range map[string]string{
		"path: /":                                                        "type: missing",
		"type: ftp":                                                      `type: "ftp" is not known`,
		"type: tcp, path: /":                                             "path: not with type tcp",
		"type: passive, interval: 1s":                                    "interval: not with type passive",
		"type: passive, rise: 1":                                         "rise: not with type passive",
		"type: passive, port: 1":                                         "port: not with type passive",
		"type: passive, passive: {counts: fins}":                         `passive.counts: "fins" is not known`,
		"type: tcp, passive: {percent: 0}":                               "passive.percent: 0 is out of range",
		"type: tcp, passive: {new_flows: 0}":                             "passive.new_flows: 0 is out of range",
		"type: tcp, passive: {window: 999ms}":                            `passive.window: "999ms" is no such time`,
		"type: tcp, passive: {ejection: 2h}":                             `passive.ejection: "2h" is no such time`,
		"type: tcp, passive: {max_ejected_percent: 101}":                 "passive.max_ejected_percent: 101 is out of range",
		"type: http, send: x":                                            "send: not with type http",
		"type: http, server_name: x":                                     "server_name: not with type http",
		"type: exec, command: [/bin/true], port: 1":                      "port: not with type exec",
		"type: tcp, interval: 99ms":                                      `interval: "99ms" is no such time`,
		"type: tcp, interval: 1h0m1s":                                    `interval: "1h0m1s" is no such time`,
		"type: tcp, interval: 1000001us":                                 `interval: "1000001us" is no such time`,
		"type: tcp, interval: 2":                                         "",
		"type: tcp, interval: 200ms, timeout: 1s":                        `timeout: "1s" is no such time`,
		"type: tcp, timeout: 0s":                                         `timeout: "0s" is no such time`,
		"type: tcp, rise: 0":                                             "rise: 0 is out of range",
		"type: tcp, slow_start: 30s":                                     "slow_start: 30s with modulo",
		"type: tcp, slow_start: 1h0m1s":                                  `slow_start: "1h0m1s" is no such time`,
		"type: tcp, slow_start: 10ms":                                    `slow_start: "10ms" is no such time`,
		"type: tcp, fall: 101":                                           "fall: 101 is out of range",
		"type: tcp, port: 65536":                                         "port: 65536 is out of range",
		"type: tcp, on_all_unhealthy: reject":                            `on_all_unhealthy: "reject" is not known`,
		"type: http, path: healthz":                                      `path: "healthz"`,
		"type: http, path: \"/a b\"":                                     `path: "/a b"`,
		"type: http, path: \"/a\\r\\nX: y\"":                             `path: "/a\r\nX: y"`,
		"type: http, path: /" + long:                                     "path: 1026 bytes",
		"type: http, status: 99":                                         "status: 99 is out of range",
		"type: tcp, statuses: [200-299]":                                 "statuses: not with type tcp",
		"type: http, statuses: [200-299, 304]":                           "statuses[1]",
		"type: http, statuses: [200-299, 2xx]":                           `statuses[1]: "2xx"`,
		"type: http, statuses: [299-200]":                                `statuses[0]: "299-200"`,
		"type: http, statuses: [200-600]":                                `statuses[0]: "200-600"`,
		"type: http, statuses: [200-299], status: 200":                   "statuses: beside status",
		"type: http, statuses: [" + strings.Repeat("200-299,", 17) + "]": "statuses: 17 statuses",
		"type: http, status: '200'":                                      "",
		"type: http, host: \"a\\r\\nX: y\"":                              `host: "a\r\nX: y"`,
		"type: https":                                                    "server_name: missing",
		"type: https, server_name: x, certificate: none":                 `certificate: "none" is not known`,
		"type: udp":                                   "send: missing",
		"type: udp, send: 'hex:0'":                    `send: "hex:0"`,
		"type: udp, send: x, expect: 'hex:zz'":        `expect: "hex:zz"`,
		"type: exec":                                  "command: missing",
		"type: exec, command: []":                     "command: missing",
		"type: exec, command: [check]":                `command[0]: "check" is no absolute path`,
		"type: exec, command: /bin/check":             "",
		"type: exec, command: [/bin/check, \"a\\0\"]": "command[1]: a zero byte",
		"type: tcp, retries: 2":                       "",
	} {
		_, err := resolve(checked(given))
		if err == nil || !strings.Contains(err.Error(), "services[0].health") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", given, err, want)
			continue
		}
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || hinted.Hint() == "" {
			t.Errorf("%s: %v without what would be right", given, err)
		}
	}
}

// Traffic that says nothing of a replica is not looked at: the answer says why.
func TestPassiveNeedsAnswers(t *testing.T) {
	for given, want := range map[string]string{
		"    mode: dsr\n    health: {type: passive}\n":                                  "services[0].health.type: mode dsr: replicas answer clients directly, and the balancer sees no reset",
		"    mode: ipip\n    health: {type: tcp, passive: {percent: 10}}\n":             "services[0].health.passive: mode ipip: replicas answer clients directly, and the balancer sees no reset",
		"    protocol: udp\n    health: {type: udp, send: x, passive: {percent: 10}}\n": "services[0].health.passive: protocol udp has no resets",
	} {
		_, err := resolve(service + given + replicas)
		var hinted interface{ Hint() string }
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "type: ") {
			t.Errorf("%s: %v, want %s", given, err, want)
		}
	}
	for _, given := range []string{"    mode: dsr\n    health: {type: tcp}\n", "    tracking: always\n    health: {type: passive}\n"} {
		if _, err := resolve(service + given + replicas); err != nil {
			t.Errorf("%s: %v", given, err)
		}
	}
}

// A change of a check is a change of the intent that no step shows.
func TestHealthChanges(t *testing.T) {
	old, err := resolve(checked("type: http, rise: 3"))
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string][]api.FieldChange{
		"type: http, rise: 3": nil,
		"type: tcp": {
			{Field: "services[web].health.type", Before: "http", After: "tcp"}, {Field: "services[web].health.rise", Before: "3", After: "2"},
			{Field: "services[web].health.path", Before: "/"}, {Field: "services[web].health.status", Before: "200"}},
		"type: http, rise: 3, passive: {counts: resets}": {
			{Field: "services[web].health.passive.counts", After: "resets"}, {Field: "services[web].health.passive.percent", After: "50"},
			{Field: "services[web].health.passive.new_flows", After: "20"}, {Field: "services[web].health.passive.window", After: "10s"},
			{Field: "services[web].health.passive.ejection", After: "30s"}, {Field: "services[web].health.passive.max_ejected_percent", After: "50"}},
		"type: http, rise: 3, port: 81": {{Field: "services[web].health.port", After: "81"}},
	} {
		next, err := resolve(checked(given))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, wire.Changes(old, next)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", given, diff)
		}
		if next.Equal(old) != (want == nil) {
			t.Errorf("%s: equal %v", given, next.Equal(old))
		}
	}
}
