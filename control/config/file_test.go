package config_test

import (
	"errors"
	"strings"
	"testing"

	"lbctl/control/config"
	"lbctl/lb"
)

const complete = `datapath:
  toeplitz_key: ms
  limits: {services: 8, replicas: 16, slots: 200000}
interfaces:
  - name: eth0
  - {name: eth1, mode: generic}
services:
  - name: web
    vip: 192.0.2.1:80
    replicas:
      - {address: 10.1.0.1:8080}
      - {address: 10.1.0.2:8080, weight: 1}
  - name: web6
    vip: "[2001:db8::1]:80"
    protocol: udp
    scheduler: maglev
    hash: toeplitz
    table_size: 251
    replicas:
      - address: "[2001:db8:1::1]:53"
        weight: 30
`

func TestParseTakesACompleteFile(t *testing.T) {
	intent, err := resolve(complete)
	if err != nil {
		t.Fatal(err)
	}
	again, err := config.Resolve(intent.Wire(), config.Default())
	if err != nil {
		t.Fatal(err)
	}
	if !again.Equal(intent) {
		t.Errorf("wire form gives %+v, want %+v", again, intent)
	}
	web6 := intent.Services[1]
	if web6.Scheduler != lb.Maglev || web6.TableSize != 251 || web6.Replicas[0].Weight != 30 {
		t.Errorf("web6 = %+v", web6)
	}
	if got := intent.Interfaces[1].Mode; got != lb.Generic {
		t.Errorf("mode of eth1 = %v", got)
	}
}

// resolve parses and resolves a file named f.yaml.
func resolve(text string) (config.Intent, error) {
	f, err := config.Parse("f.yaml", []byte(text))
	if err != nil {
		return config.Intent{}, err
	}
	intent, err := config.Resolve(f.Config, config.Default())
	return intent, f.Locate(err)
}

// service is the start of a file with one service.
const service = "services:\n  - name: web\n    vip: 192.0.2.1:80\n"

const replicas = "    replicas: [{address: 10.1.0.1:80}, {address: 10.1.0.2:80}]\n"

// wrong are files and what is said about them. Every row is one change of a right file.
var wrong = []struct{ name, text, what, hint string }{
	{"empty", "", "f.yaml: is empty: half-written?", "services: []"},
	{"comments only", "# lbctl\n\n", "f.yaml: is empty: half-written?", "services: []"},
	{"zeros", "services: []\x00\x00\n", "f.yaml: holds bytes that are not text: half-written, or not YAML?", "UTF-8"},
	{"cut in a word", "services:\n  - name: we", "f.yaml: ends in the middle of a line: half-written?", "end its last line"},
	{"cut in braces", service + "    replicas:\n      - {address: 10.1.0.1:80\n", "f.yaml:5:9: could not find flow mapping end token '}'", "ends too early"},
	{"cut in quotes", "services:\n  - name: \"we\n", "f.yaml:2:11: could not find end character of double-quoted text", "ends too early"},
	{"cut after a key", "services:\n", "f.yaml:1:11: services: has no value", "is the file complete?"},
	{"cut after a hyphen", "services:\n  -\n", "f.yaml:2:5: services[0]: has no value", "is the file complete?"},
	{"cut after the name", "services:\n  - name: web\n", "f.yaml:2:5: services[0].vip: missing (and 1 more problem)", "is the file complete?"},
	{"cut before the replicas", service, "f.yaml:2:5: services[0].replicas: missing", "is the file complete?"},
	{"no services", "interfaces: []\n", "f.yaml:1:1: services: missing", "services: []"},
	{"tab", "services:\n\t- name: web\n", "f.yaml:2:1: found character '\t' that cannot start any token", "correct the YAML"},
	{"two documents", "services: []\n---\nservices: []\n", "f.yaml: more than one document", "---"},
	{"text", "hello\n", `f.yaml:1:1: "hello" is of the wrong type`, "want fields: datapath, interfaces, services"},
	{"list", "- a\n", "f.yaml:1:1: a list", "want fields"},
	{"anchor", "services: &a []\ninterfaces: *a\n", "f.yaml:1:11: services: an anchor, alias or tag (and 1 more problem)", "write the value itself"},
	{"key twice", service + "    vip: 192.0.2.2:80\n" + replicas, `f.yaml:4:5: mapping key "vip" already defined at [3:5]`, "correct the YAML"},

	{"unknown field", service + "    schedular: maglev\n" + replicas, "f.yaml:4:5: services[0].schedular: unknown field", "did you mean scheduler?"},
	{"unknown field of two lines", "\"a\\nb\": 1\nservices: []\n", "f.yaml:1:1: a b: unknown field", "want one of"},
	{"unknown field, nothing near", "bogus: 1\nservices: []\n", "f.yaml:1:1: bogus: unknown field", "want one of datapath, interfaces, services"},
	{"case", "Services: []\n", "f.yaml:1:1: Services: unknown field", "did you mean services?"},
	{"number as text", service + "    seed: abc\n" + replicas, `f.yaml:4:11: services[0].seed: "abc" is of the wrong type`, "want a whole number"},
	{"fraction", service + "    seed: 1.5\n" + replicas, `f.yaml:4:11: services[0].seed: "1.5" is of the wrong type`, "want a whole number"},
	{"quoted number", service + "    seed: \"1\"\n" + replicas, `f.yaml:4:11: services[0].seed: "1" is of the wrong type`, "without quotes"},
	{"text as number", "services:\n  - name: 5\n    vip: 192.0.2.1:80\n" + replicas, `f.yaml:2:11: services[0].name: "5" is of the wrong type`, "need quotes"},
	{"huge number", service + "    seed: 99999999999999999999999\n" + replicas, `f.yaml:4:11: services[0].seed: "99999999999999999999999" is of the wrong type`, "want a whole number"},
	{"mapping as list", service + "    replicas: {}\n", "f.yaml:4:15: services[0].replicas: a mapping", "want a list"},
	{"number as list", "services: 5\n", `f.yaml:1:11: services: "5" is of the wrong type`, "want a list"},
	{"list as text", "services:\n  - name: [web]\n", "f.yaml:2:11: services[0].name: a list", "want text"},
	{"IPv6 without quotes", "services:\n  - name: web\n    vip: [2001:db8::1]:80\n", "f.yaml:3:23: value is not allowed in this context", "needs quotes"},

	{"no port", "services:\n  - name: web\n    vip: 192.0.2.1\n" + replicas, `f.yaml:3:10: services[0].vip: "192.0.2.1" is not an address and a port`, "192.0.2.1:80"},
	{"port 0", "services:\n  - name: web\n    vip: 192.0.2.1:0\n" + replicas, "f.yaml:3:10: services[0].vip: port 0", "1 to 65535"},
	{"port too large", "services:\n  - name: web\n    vip: 192.0.2.1:65536\n" + replicas, `f.yaml:3:10: services[0].vip: "192.0.2.1:65536" is not an address and a port`, "want an address and a port"},
	{"multicast", "services:\n  - name: web\n    vip: 224.0.0.1:80\n" + replicas, "f.yaml:3:10: services[0].vip: 224.0.0.1 is a multicast address", "unicast"},
	{"name", "services:\n  - name: My Web\n    vip: 192.0.2.1:80\n" + replicas, `f.yaml:2:11: services[0].name: "My Web" cannot be a name`, "a-z"},
	{"protocol", service + "    protocol: sctp\n" + replicas, `f.yaml:4:15: services[0].protocol: "sctp" is not known`, "want tcp or udp"},
	{"scheduler", service + "    scheduler: random\n" + replicas, `f.yaml:4:16: services[0].scheduler: "random" is not known`, "want modulo or maglev"},
	{"hash", service + "    hash: crc\n" + replicas, `f.yaml:4:11: services[0].hash: "crc" is not known`, "want jhash or toeplitz"},
	{"mode", service + "    mode: tunnel\n" + replicas, `f.yaml:4:11: services[0].mode: "tunnel" is not known`, "want nat"},
	{"negative seed", service + "    seed: -1\n" + replicas, "f.yaml:4:11: services[0].seed: -1 is out of range", "from 0 to 4294967295"},
	{"seed of toeplitz", service + "    hash: toeplitz\n    seed: 7\n" + replicas, "f.yaml:5:11: services[0].seed: 7 with toeplitz, which has no seed", "jhash"},
	{"table not prime", service + "    scheduler: maglev\n    table_size: 1000\n" + replicas, "f.yaml:5:17: services[0].table_size: 1000 is not a prime", "1009"},
	{"table of modulo", service + "    table_size: 251\n" + replicas, "f.yaml:4:17: services[0].table_size: 251 slots with modulo", "want 2"},
	{"table 0", service + "    scheduler: maglev\n    table_size: 0\n" + replicas, "f.yaml:5:17: services[0].table_size: 0 is out of range", "65537"},
	{"weight 0", service + "    replicas: [{address: 10.1.0.1:80, weight: 0}]\n", "f.yaml:4:47: services[0].replicas[0].weight: 0 is not a weight", "leave it out"},
	{"weight negative", service + "    replicas: [{address: 10.1.0.1:80, weight: -3}]\n", "f.yaml:4:47: services[0].replicas[0].weight: -3 is not a weight", "want 1 to 65535"},
	{"weight too large", service + "    replicas: [{address: 10.1.0.1:80, weight: 65536}]\n", "f.yaml:4:47: services[0].replicas[0].weight: 65536 is not a weight", "want 1 to 65535"},
	{"modulo with weights", service + "    replicas: [{address: 10.1.0.1:80, weight: 2}]\n", "f.yaml:4:47: services[0].replicas[0].weight: 2 with modulo, which has no weights", "maglev"},
	{"replica twice", service + "    replicas: [{address: 10.1.0.1:80}, {address: 10.1.0.1:80}]\n", "f.yaml:4:50: services[0].replicas[1].address: 10.1.0.1:80 is replicas[0] already", "every replica once"},
	{"families", service + "    replicas: [{address: \"[2001:db8::2]:80\"}]\n", "f.yaml:4:26: services[0].replicas[0].address: 2001:db8::2 behind 192.0.2.1", "address family"},
	{"VIP twice", service + replicas + "  - name: two\n    vip: 192.0.2.1:80\n    replicas: []\n", "f.yaml:6:10: services[1].vip: tcp 192.0.2.1:80 is services[0] already", "every VIP once"},
	{"name twice", service + replicas + "  - name: web\n    vip: 192.0.2.2:80\n    replicas: []\n", "f.yaml:5:11: services[1].name: web is services[0] already", "every name once"},
	{"replica under two", service + replicas + "  - name: two\n    vip: 192.0.2.2:80\n    replicas: [{address: 10.1.0.2:80}]\n", "f.yaml:7:26: services[1].replicas[0].address: tcp 10.1.0.2:80 is a replica of services[0] already", "a port of its own"},
	{"too many services", "datapath: {limits: {services: 1}}\n" + service + replicas + "  - name: two\n    vip: 192.0.2.2:80\n    replicas: []\n", "f.yaml:3:3: services: 2 services", "want at most 1"},
	{"too many replicas", "datapath: {limits: {replicas: 1}}\n" + service + replicas, "f.yaml:3:3: services: 2 replicas", "want at most 1"},
	{"limit", "datapath: {limits: {services: 0}}\nservices: []\n", "f.yaml:1:31: datapath.limits.services: 0 is out of range", "want 1 to 65536"},
	{"key", "datapath: {toeplitz_key: abcd}\nservices: []\n", "f.yaml:1:26: datapath.toeplitz_key: ", "hexadecimal"},
	{"interface twice", "interfaces: [{name: a}, {name: a}]\nservices: []\n", "f.yaml:1:32: interfaces[1].name: a is interfaces[0] already", "once"},
	{"interface name", "interfaces: [{name: a/b}]\nservices: []\n", `f.yaml:1:21: interfaces[0].name: "a/b" cannot be an interface`, "15 characters"},
	{"attach mode", "interfaces: [{name: a, mode: fast}]\nservices: []\n", `f.yaml:1:30: interfaces[0].mode: "fast" is not known`, "want auto or native or generic"},
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for _, c := range wrong {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolve(c.text)
			var e *config.Error
			if !errors.As(err, &e) || !errors.Is(err, lb.ErrInvalid) {
				t.Fatalf("error %v, want a *config.Error that is lb.ErrInvalid", err)
			}
			if !strings.HasPrefix(e.Error(), c.what) {
				t.Errorf("what: %s\n want: %s", e, c.what)
			}
			if !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("hint: %s\n want: %s", e.Hint(), c.hint)
			}
			if strings.Contains(e.Error()+e.Hint(), "\n") {
				t.Errorf("more than a line: %q", e)
			}
		})
	}
}

// TestEveryCutIsNoticed cuts a file at every byte. What is left either is refused, or
// is a file that its author may have meant: cut at the end of a line or of a list element.
func TestEveryCutIsNoticed(t *testing.T) {
	if _, err := resolve(complete); err != nil {
		t.Fatal(err)
	}
	for n := range len(complete) {
		left := strings.TrimRight(complete[:n], " ")
		if _, err := resolve(left); err == nil && !strings.HasSuffix(left, "\n") && !strings.HasSuffix(left, "}") {
			t.Errorf("cut after %q is accepted", left[max(0, len(left)-20):])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(complete)
	for _, c := range wrong {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		intent, err := resolve(text)
		if err != nil {
			if !errors.Is(err, lb.ErrInvalid) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%T %q", err, err)
			}
			return
		}
		again, err := config.Resolve(intent.Wire(), config.Default())
		if err != nil || !again.Equal(intent) {
			t.Fatalf("wire form of %q: %v", text, err)
		}
	})
}
