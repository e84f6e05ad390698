package config_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"lbctl/control/api"
	"lbctl/control/config"
	"lbctl/control/intent"
)

// TestDecodeJSONTakesAllTypes: what the standard encoder writes of a value is read as that value.
func TestDecodeJSONTakesAllTypes(t *testing.T) {
	weight := int64(3)
	for _, v := range []any{
		&api.Config{Services: []api.Service{{Name: "web", VIP: "192.0.2.1:80", Seed: 1<<32 - 1, Replicas: []api.Replica{{Address: "10.0.0.1:80", Weight: &weight}}}}},
		&api.ServiceStatus{Service: api.Service{Name: "web", Replicas: []api.Replica{}}, SlotsInTransition: 7},
		&api.Probes{Brief: true, Probes: []api.Probe{{Frame: []byte{1, 2, 3}}, {Source: "é", Flags: []string{"syn"}}}},
		&api.Mode{Mode: "auto"},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		if err := config.DecodeJSON(strings.NewReader(string(text)), got); err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, text := range []string{
		`{"services":[{"name":"web","vip":"192.0.2.1:80","replicas":[{"address":"10.0.0.1:80","weight":1}]}],"interfaces":[{"name":"eth0"}]}`,
		`{"services":[],"services":[]}`, `{"Services":null}`, `{"services":[[[{"a":[1,2.5e3,true]}]]]}`, `[`, `{"a"`, `{"services":[{"seed":1e3}]} 1`, "\xff", `"\ud800"`, ``,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c api.Config
		err := config.DecodeJSON(strings.NewReader(text), &c)
		var shape *intent.Error
		var syntax *config.SyntaxError
		if err != nil {
			if !errors.As(err, &shape) && !errors.As(err, &syntax) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%T %q", err, err)
			}
			return
		}
		var lenient api.Config // what is taken strictly is taken leniently, and means the same
		if err := json.Unmarshal([]byte(text), &lenient); err != nil || !reflect.DeepEqual(c, lenient) {
			t.Fatalf("%q: %+v, leniently %+v, %v", text, c, lenient, err)
		}
	})
}
